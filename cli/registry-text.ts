/** Devices as lines of NDJSON and CSV, in and out. */
import { TrunklineError } from '../base/errors.ts';
import type { CreateDeviceResponse, Device } from '../proto/gen/trunkline/v1/registry.ts';

type Format = 'ndjson' | 'csv';

const columns = ['name', 'roles', 'labels', 'disabled'] as const;

export function deviceText(device: Device): string {
  return exportText([device], 'ndjson');
}

export function exportText(devices: readonly Device[], format: Format): string {
  const rows = devices.map((device) => rowOf(device));
  return format === 'csv' ? csvText(columns, rows) : jsonText(rows);
}

/** With the secrets. `isFirst`: with a head line, where the form has one. */
export function issuedText(
  issued: readonly CreateDeviceResponse[],
  format: Format = 'ndjson',
  isFirst = true,
): string {
  const rows = issued.flatMap(({ device, secret }) =>
    device === undefined ? [] : [{ ...rowOf(device), secret }],
  );
  if (format === 'ndjson') return jsonText(rows);
  const text = csvText([...columns, 'secret'], rows);
  return isFirst ? text : text.slice(text.indexOf('\n') + 1);
}

/** Throws `device-invalid` with the number of the line. */
export function devicesOf(text: string, format: Format): Device[] {
  const lines = text.split(/\r?\n/).map((content, index) => ({ content, number: index + 1 }));
  const filled = lines.filter(({ content }) => content.trim() !== '');
  const rows =
    format === 'csv'
      ? csvRows(filled)
      : filled.map(({ content, number }) => ({ number, row: jsonRow(content, number) }));
  return rows.map(({ row, number }) => deviceOf(row, number));
}

interface NumberedLine {
  readonly content: string;
  readonly number: number;
}

function rowOf({ name, roles, labels, disabled }: Device) {
  return { name, roles, labels: Object.fromEntries(labelEntries(labels)), disabled };
}

function labelEntries(labels: Device['labels']): [string, string][] {
  return labels.map((label) => [label.name, label.value]);
}

function deviceOf(row: unknown, number: number): Device {
  if (!isTable(row)) throw fault(number, 'is no object');
  const odd = Object.keys(row).find((key) => !columns.some((column) => column === key));
  if (odd !== undefined) throw fault(number, `has ${JSON.stringify(odd)}; there are ${columns}`);
  const { name, roles = [], labels = {}, disabled = false } = row;
  if (typeof name !== 'string') throw fault(number, 'has no name');
  const isList = Array.isArray(roles) && roles.every((role) => typeof role === 'string');
  if (!isList) throw fault(number, 'has roles that are no list of texts');
  if (!isTable(labels)) throw fault(number, 'has labels that are no object');
  const known = Object.entries(labels).map(([label, value]) => {
    if (typeof value === 'string') return { name: label, value };
    throw fault(number, `has a label ${JSON.stringify(label)} that is no text`);
  });
  if (typeof disabled !== 'boolean') throw fault(number, 'has disabled that is not true or false');
  const none = { createdAtMs: 0, updatedAtMs: 0, credentialVersion: 0 };
  return { name, roles, labels: known, disabled, ...none };
}

function isTable(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

function jsonText(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

function jsonRow(content: string, number: number): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw fault(number, 'is not JSON');
  }
}

function csvText(names: readonly string[], rows: readonly Record<string, unknown>[]): string {
  const lines = rows.map((row) => names.map((name) => csvCell(row[name])).join(','));
  return [names.join(','), ...lines, ''].join('\n');
}

function csvCell(value: unknown): string {
  if (Array.isArray(value)) return quoted(value.join(' '));
  if (typeof value !== 'object' || value === null) return quoted(String(value));
  return quoted(
    Object.entries(value)
      .map(([name, one]) => `${name}=${encodeURIComponent(String(one))}`)
      .join(' '),
  );
}

function quoted(text: string): string {
  return /[",\s]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Of the columns that are known, in any order; what is within a cell is parted by spaces. */
function csvRows([head, ...lines]: readonly NumberedLine[]): { row: object; number: number }[] {
  if (head === undefined) return [];
  const names = cellsOf(head);
  for (const name of names) {
    if (!columns.some((column) => column === name)) {
      throw fault(
        head.number,
        `has the column ${JSON.stringify(name)}; there are ${columns.join(', ')}`,
      );
    }
  }
  return lines.map((one) => ({ row: csvRow(names, one), number: one.number }));
}

function csvRow(names: readonly string[], one: NumberedLine): object {
  const cells = cellsOf(one);
  if (cells.length !== names.length) {
    throw fault(one.number, `has ${cells.length} cells; the first line has ${names.length}`);
  }
  const found = new Map(names.map((name, index) => [name, cells[index] as string]));
  const labels = wordsOf(found.get('labels')).map((word) => {
    const at = word.indexOf('=');
    if (at < 1) throw fault(one.number, `has the label ${JSON.stringify(word)}; give NAME=VALUE`);
    return [word.slice(0, at), valueOfLabel(word.slice(at + 1), one.number)] as const;
  });
  return {
    name: found.get('name'),
    roles: wordsOf(found.get('roles')),
    labels: Object.fromEntries(labels),
    disabled: found.get('disabled') === 'true',
  };
}

function valueOfLabel(text: string, number: number): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fault(number, `has the value ${JSON.stringify(text)}; write % as %25`);
  }
}

function wordsOf(cell = ''): string[] {
  return cell.split(/\s+/).filter((word) => word !== '');
}

/** RFC 4180, without line breaks inside cells: names, roles and labels have none. */
function cellsOf({ content, number }: NumberedLine): string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const found = cell.exec(content);
    if (found === null) throw fault(number, 'has a quote that does not end');
    cells.push((found[1]?.replaceAll('""', '"') ?? found[2] ?? '').trim());
    if (found[3] === '') return cells;
  }
}

function fault(number: number, what: string): TrunklineError {
  return new TrunklineError('device-invalid', `Line ${number} ${what}.`);
}
