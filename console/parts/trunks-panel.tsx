/** How the link of each edge does, and each of its lanes when asked for. */
import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import type { Trunk, TrunkCore, TrunkLane } from '../api/types.ts';
import { age, bytes, count, rate } from '../format.ts';

/** A message that waits longer is worth a look. */
const waitWarnMs = 5_000;
const waitBadMs = 60_000;

const titles = ['Backlog', 'Oldest', 'Proof', 'Up/s', 'Down/s', 'Credit', 'Empty in', 'Rules'];

export function TrunksPanel({ trunks }: { trunks: readonly Trunk[] }) {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  if (trunks.length === 0) return null;
  const toggle = (edgeId: string) => {
    const next = new Set(opened);
    if (!next.delete(edgeId)) next.add(edgeId);
    setOpened(next);
  };
  return (
    <section class="panel" aria-labelledby="trunks-title">
      <div class="panel-head">
        <h2 id="trunks-title">Trunk</h2>
      </div>
      <div class="scroll">
        <table class="trunks">
          <thead>
            <tr>
              <th scope="col">Edge</th>
              {titles.map((title) => (
                <th key={title} scope="col" class="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {trunks.map((trunk) => (
              <Rows
                key={trunk.edge_id}
                trunk={trunk}
                isOpen={opened.has(trunk.edge_id)}
                onToggle={() => toggle(trunk.edge_id)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Rows(props: { trunk: Trunk; isOpen: boolean; onToggle: () => void }) {
  const { trunk, isOpen, onToggle } = props;
  return (
    <Fragment>
      <EdgeRow trunk={trunk} isOpen={isOpen} onToggle={onToggle} />
      {trunk.faults.length > 0 && (
        <tr class="faults">
          <td colSpan={titles.length + 1}>{trunk.faults.join('; ')}</td>
        </tr>
      )}
      {isOpen && trunk.lanes.map((lane) => <LaneRow key={lane.lane} lane={lane} />)}
      {isOpen &&
        trunk.cores.length > 1 &&
        trunk.cores.map((core) => <CoreRow key={core.address} core={core} />)}
    </Fragment>
  );
}

function EdgeRow(props: { trunk: Trunk; isOpen: boolean; onToggle: () => void }) {
  const { trunk, isOpen, onToggle } = props;
  const isOverdue = trunk.lanes.some((lane) => lane.proof_overdue);
  return (
    <tr class={trunk.connected ? '' : 'away'}>
      <th scope="row">
        {trunk.lanes.length === 0 ? (
          <span class="id">{trunk.edge_id}</span>
        ) : (
          <button type="button" class="disclose" aria-expanded={isOpen} onClick={onToggle}>
            <span class="id">{trunk.edge_id}</span>
          </button>
        )}
      </th>
      <td class="number">{count(trunk.backlog_messages)}</td>
      <td class={`number ${waitTone(trunk.oldest_unacked_ms)}`}>{age(trunk.oldest_unacked_ms)}</td>
      <td class={`number ${proofTone(trunk.proof_age_ms, isOverdue)}`}>
        {age(trunk.proof_age_ms)}
      </td>
      <td class="number">{trunk.connected ? rate(trunk.up_rate) : '–'}</td>
      <td class="number">{trunk.connected ? rate(trunk.down_rate) : '–'}</td>
      <td class="number">{trunk.connected ? bytes(trunk.credit_bytes) : '–'}</td>
      <td class="number">{age(trunk.empty_in_seconds * 1_000)}</td>
      <td class="number">{trunk.rules_version === 0 ? '–' : trunk.rules_version}</td>
    </tr>
  );
}

function LaneRow({ lane }: { lane: TrunkLane }) {
  return (
    <tr class="lane">
      <th scope="row">
        Lane {lane.lane}
        {lane.priority !== 'normal' && <span class="sub">{lane.priority}</span>}
      </th>
      <td class="number">{count(lane.backlog_messages)}</td>
      <td class={`number ${waitTone(lane.oldest_unacked_ms)}`}>{age(lane.oldest_unacked_ms)}</td>
      <td class={`number ${proofTone(lane.proof_age_ms, lane.proof_overdue)}`}>
        {age(lane.proof_age_ms)}
      </td>
      <td class="number">{count(lane.uplinked_messages)} in all</td>
      <td class="number">{count(lane.downlinked_messages)} in all</td>
      <td class="number">{bytes(lane.credit_bytes)}</td>
      <td />
      <td />
    </tr>
  );
}

function CoreRow({ core }: { core: TrunkCore }) {
  const roundTrip = core.round_trip_us === 0 ? '' : `${(core.round_trip_us / 1_000).toFixed(1)} ms`;
  return (
    <tr class="lane core">
      <th scope="row">
        Core {core.core_id || core.address}
        {core.region !== '' && <span class="sub">{core.region}</span>}
      </th>
      <td colSpan={titles.length} class={core.state === 'unreachable' ? 'tone-bad' : ''}>
        {[core.state, roundTrip].filter((text) => text !== '').join(', ')}
      </td>
    </tr>
  );
}

function waitTone(ms: number): string {
  if (ms >= waitBadMs) return 'tone-bad';
  return ms >= waitWarnMs ? 'tone-warn' : '';
}

function proofTone(ms: number, isOverdue: boolean): string {
  if (isOverdue) return 'tone-bad';
  return ms === 0 ? '' : 'tone-good';
}
