//! How a partition starts: with the state of a checkpoint, if there is one.

use kol_common::KolError;
use tokio::time::Instant;

use super::Actor;
use crate::partition::checkpointer::{Attempt, Restored};
use crate::partition::message::Ended;
use crate::partition::meter::Meter;

impl Actor {
    /// Commands wait meanwhile: a state that is not whole has no answers.
    pub(super) async fn restore_unless_stopped(&mut self) -> Result<(), Ended> {
        self.show_report();
        let stop = self.stop_now.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(self.released(false)),
            restored = self.restore() => restored.map_err(Ended::Failed),
        }
    }

    /// Starts from the state of a checkpoint, if there is one.
    async fn restore(&mut self) -> Result<(), KolError> {
        self.checkpointer.see_root().await?;
        let standby = self.standby.take();
        let Some(checkpoint) = self.assignment.restore.clone() else {
            return Ok(());
        };
        let begun = match standby {
            Some(standby) => standby.give().await,
            None => None,
        };
        let mut restore = begun.unwrap_or_else(|| self.checkpointer.restore());
        let Restored { mut state, share } = loop {
            match restore.attempt(&checkpoint).await {
                Attempt::Done(restored) => break restored,
                Attempt::Failed(error) => return Err(error),
                Attempt::Unavailable(error) => {
                    self.restore_problem = Some(error);
                    self.show_report();
                    restore.pause().await;
                }
            }
        };
        self.restore_problem = None;
        self.outbox.restored(&mut state, &checkpoint);
        self.intake
            .restored(*state, checkpoint.counters.clone().unwrap_or_default());
        self.turn.weigh(&self.intake, &self.outbox);
        // What the checkpoint had counted was not read now.
        self.meter = Meter::default();
        drop(share);
        self.reader.restored(Instant::now(), &checkpoint);
        self.checkpointer.restored(checkpoint);
        Ok(())
    }
}
