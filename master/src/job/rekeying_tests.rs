//! Jobs with a stage that re-keys their input.
