type Props = { label: string; value: number; max: number };

export function Progress({ label, value, max }: Props) {
  return <progress className="progress" aria-label={label} value={value} max={Math.max(max, 1)} />;
}
