/** In which order the sessions stand. */

const orders: readonly { readonly orderBy: string; readonly title: string }[] = [
  { orderBy: '', title: 'By name' },
  { orderBy: 'queue_messages desc', title: 'Longest queue' },
  { orderBy: 'dropped_messages desc', title: 'Most dropped' },
  { orderBy: 'connected_time desc', title: 'Newest connection' },
  { orderBy: 'disconnected_time desc', title: 'Last gone' },
  { orderBy: 'received_rate desc', title: 'Busiest' },
  { orderBy: 'round_trip desc', title: 'Slowest round trip' },
];

export interface OrderBoxProps {
  readonly orderBy: string;
  readonly onOrder: (orderBy: string) => void;
}

export function OrderBox({ orderBy, onOrder }: OrderBoxProps) {
  const isKnown = orders.some((one) => one.orderBy === orderBy);
  return (
    <label class="order">
      <span class="hidden">Order</span>
      <select value={orderBy} onChange={(event) => onOrder(event.currentTarget.value)}>
        {orders.map(({ orderBy: value, title }) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
        {!isKnown && <option value={orderBy}>{orderBy}</option>}
      </select>
    </label>
  );
}
