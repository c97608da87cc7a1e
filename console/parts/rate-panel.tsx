/** Messages a second over the last five minutes, with the numbers under the pointer. */
import { useState } from 'preact/hooks';
import { rate, timeOfDay } from '../format.ts';
import type { RateHistory } from '../state/rate-history.ts';
import { RateChart } from './rate-chart.tsx';

export function RatePanel({ history }: { history: RateHistory }) {
  const [pointed, setPointed] = useState<number | null>(null);
  const at = pointed ?? history.times.length - 1;
  const time = history.times[at];
  return (
    <section class="panel" aria-labelledby="rates-title">
      <div class="panel-head">
        <h2 id="rates-title">Messages a second</h2>
        <dl class="legend">
          <Entry name="In" tone="in" value={history.received[at]} />
          <Entry name="Out" tone="out" value={history.delivered[at]} />
          <dt class="hidden">At</dt>
          <dd class="legend-time">
            {pointed === null || time === undefined ? 'now' : timeOfDay(time * 1000)}
          </dd>
        </dl>
      </div>
      <RateChart history={history} onPoint={setPointed} />
    </section>
  );
}

function Entry(props: { name: string; tone: string; value: number | null | undefined }) {
  const { name, tone, value } = props;
  return (
    <>
      <dt class={`swatch ${tone}`}>{name}</dt>
      <dd>{value === null || value === undefined ? '–' : rate(value)}</dd>
    </>
  );
}
