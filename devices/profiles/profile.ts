/** What a kind of device says: a pure function of who it is and how often it has spoken. */

/** The last level of the topic, and what stands in the payload beside the device's id and counter. */
export interface Reading {
  readonly kind: string;
  readonly values: Readonly<Record<string, string | number | boolean>>;
}

export interface Profile {
  /** The second level of its topics: `fleet/<name>/<id>/<kind>`. */
  readonly name: string;
  reading(seed: number, step: number): Reading;
}
