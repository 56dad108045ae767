/** Numbers of one name, as Prometheus knows them. */
export interface Metric {
  readonly name: string;
  /** One sentence for those who find the metric and not this program. */
  readonly help: string;
  /** A set of labels at most once. Times are seconds since 1970. */
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}
