// Where the views of this page are.

/** A hash that leads to a job, and one that leads to a creator of it. */
export const toJob = (name) => `#/job/${encodeURIComponent(name)}`;
export const toCreator = (job, platform, kol) =>
  `${toJob(job)}/creator/${encodeURIComponent(platform)}/${encodeURIComponent(kol)}`;
