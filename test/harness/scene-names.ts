// The names of a scene, for those parts of the harness that need no more of it.

export interface SceneNames {
  /** Eight hexadecimal digits in every name the scene makes. */
  readonly tag: string;
  /** containerd's namespace, also the parent of all cgroups. */
  readonly namespace: string;
}
