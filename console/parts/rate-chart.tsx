/** The one file that names uPlot: two lines over five minutes, in the colours of the page. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { rate } from '../format.ts';
import { historySeconds, type RateHistory } from '../state/rate-history.ts';

const heightPx = 180;

const windowMin = 60;

/** Seconds between marks under the chart. */
const markSteps = [15, 30, 60] as const;
const marksMax = 5;

/** A quiet fleet is a flat line near the bottom, not a mountain range of tenths. */
const topMin = 5;

export interface RateChartProps {
  readonly history: RateHistory;
  /** The sample under the pointer, or null when there is none. */
  readonly onPoint: (index: number | null) => void;
}

export function RateChart({ history, onPoint }: RateChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(history);
  latest.current = history;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = () => {
      chart.current?.destroy();
      chart.current = new uPlot(optionsFor(element, onPoint), dataOf(latest.current), element);
    };
    draw();
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    const observer = new ResizeObserver(() => {
      chart.current?.setSize({ width: element.clientWidth, height: heightPx });
    });
    observer.observe(element);
    return () => {
      scheme.removeEventListener('change', draw);
      observer.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [onPoint]);
  useEffect(() => chart.current?.setData(dataOf(history)), [history]);
  return <div class="chart" ref={place} role="img" aria-label={summaryOf(history)} />;
}

function summaryOf({ received, delivered }: RateHistory): string {
  const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const peak = (values: readonly (number | null)[]) => rate(Math.max(0, ...known(values)));
  return `Chart of the last five minutes: at most ${peak(received)} messages a second in and ${peak(delivered)} out`;
}

function dataOf({ times, received, delivered }: RateHistory): uPlot.AlignedData {
  return [[...times], [...received], [...delivered]];
}

function optionsFor(element: HTMLElement, onPoint: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour('--text-soft'),
    font: `11px ${style.fontFamily}`,
    ticks: { show: false },
    grid: { stroke: colour('--line'), width: 1 },
  };
  return {
    width: element.clientWidth,
    height: heightPx,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: (_, first, last) => windowOf(first, last) },
      y: { range: (_, __, max) => [0, Math.max(topMin, max * 1.15)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        splits: (_, __, from, to) => marksOf(from, to),
        values: agesOf,
      },
      { ...axis, size: 46, space: 36, values: (_, marks) => marks.map(rate) },
    ],
    series: [
      {},
      line('In', colour('--in'), colour('--in-fill')),
      line('Out', colour('--out'), colour('--out-fill')),
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  };
}

/** Grows from one minute to five, so that a page just opened is not an empty chart. */
function windowOf(first: number, last: number): [number, number] {
  return [Math.max(last - historySeconds, Math.min(first, last - windowMin)), last];
}

/** From now backwards, so that the marks stand still while time goes on. */
function marksOf(from: number, to: number): number[] {
  const step = markSteps.find((seconds) => to - from <= seconds * marksMax) ?? 60;
  const marks: number[] = [];
  // A mark at the very left would stand on the other axis's zero.
  const first = from + (to - from) * 0.06;
  for (let mark = to; mark >= first; mark -= step) marks.unshift(mark);
  return marks;
}

function agesOf(_: uPlot, marks: number[]): string[] {
  const now = marks.at(-1) ?? 0;
  return marks.map((mark) => {
    const age = Math.round(now - mark);
    if (age === 0) return 'now';
    return age % 60 === 0 ? `−${age / 60} min` : `−${age} s`;
  });
}

function line(label: string, stroke: string, fill: string): uPlot.Series {
  return { label, stroke, fill, width: 1.75, points: { show: false } };
}
