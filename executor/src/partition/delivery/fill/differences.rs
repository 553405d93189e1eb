//! What Redis has otherwise than it was sent: keys of a wrong type, creators that it lost or that somebody wrote over,
//! and creators that it should not have.

use std::collections::BTreeSet;

use kol_common::scoring::{Scoring, Slot};
use redis::Cmd;

use super::Fill;
use crate::partition::delivery::comparison::Piece;
use crate::partition::delivery::refusals::Refusals;
use crate::sink::{Fence, Found, Present};
use crate::state::{Consumer, KolIndex, PlatformIndex, State};

/// Whether a KOL in Redis is one that the state knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It is; if it should not be there, it waits to be removed.
    Known,
    /// It is not: only whoever found it can have it removed.
    Orphan,
}

impl Fill {
    /// Of the flush under way Redis refused what belongs to these keys: they are of a wrong type.
    pub fn refused(&self, state: &State, keys: &[String], refusals: &mut Refusals) {
        if keys.is_empty() && refusals.are_none() {
            return;
        }
        let mut others: BTreeSet<String> = keys.iter().cloned().collect();
        let keys = others.clone();
        for (kol, removes) in self.ledger.under_way() {
            let Some((platform, name)) = state.name(*kol) else {
                continue;
            };
            let mut own = self.encoder.keys_of(state.platform_name(platform), name);
            match own.find(|key| keys.contains(key)) {
                Some(key) if !removes => {
                    others.remove(&key);
                    refusals.refused(*kol, || key);
                }
                _ => refusals.well(*kol),
            }
        }
        refusals.others(others);
    }

    /// Of a flush without merges Redis refused these keys.
    pub fn rechecked(&self, keys: &[String], refusals: &mut Refusals) {
        refusals.rechecked(keys, |key| self.encoder.is_of_flush(key));
    }

    /// Whether a flush should be sent even without anything in it, to see whether a key is right again.
    pub fn needs_recheck(&self, refusals: &Refusals) -> bool {
        refusals.need_recheck(|key| self.encoder.is_of_flush(key))
    }

    /// Of a KOL that Redis should have as it was sent, its platform, and the slot that it was sent with, if the state still
    /// says so.
    pub fn sent(&self, state: &State, kol: KolIndex) -> Option<(PlatformIndex, Option<Slot>)> {
        let there = self.ledger.should_be_there(kol);
        let (platform, _) = there.then(|| state.name(kol)).flatten()?;
        Some((platform, self.ledger.as_sent(state, kol)))
    }

    /// The call that compares KOLs of one platform, where Redis had confirmed this sequence, and looks for strangers from
    /// this place on.
    pub fn compare(
        &self,
        state: &State,
        (fence, confirmed): (&Fence, u64),
        (platform, kols): &Piece,
        place: u64,
    ) -> Cmd {
        let names = kols.iter().filter_map(|(kol, _)| state.name(*kol));
        let names: Vec<&str> = names.map(|(_, name)| name).collect();
        let platform = state.platform_name(*platform);
        self.encoder
            .compare(fence, (confirmed, place), platform, &names)
    }

    /// Acts on a comparison of some KOLs of one platform: what Redis lost, or has otherwise than it was sent, waits again.
    /// How many.
    pub fn compared(
        &mut self,
        state: &mut State,
        (scoring, fence): (&Scoring, &Fence),
        (platform, kols): &Piece,
        present: &Present,
        refusals: &mut Refusals,
    ) -> u64 {
        refusals.platform(*platform, present.keys.iter().cloned());
        let mut readback = self
            .encoder
            .readback(scoring, fence, state.platform_name(*platform));
        let mut differs = Vec::new();
        for (place, (kol, sent)) in kols.iter().enumerate() {
            let Some((platform, name)) = state.name(*kol) else {
                continue;
            };
            match present.kols.get(place) {
                Some(Found { hash, copy, .. }) if hash.is_none() || copy.is_none() => {
                    let mut keys = self.encoder.keys_of(state.platform_name(platform), name);
                    refusals.refused(*kol, || keys.next().unwrap_or_default());
                    continue;
                }
                Some(found) if !readback.is_as_sent(name, sent.as_ref(), found) => {
                    differs.push(*kol);
                }
                Some(_) | None => {}
            }
            refusals.well(*kol);
        }
        if !present.keys.is_empty() {
            // What is sent now would be refused. When the key is right again, the next round finds it lost.
            return 0;
        }
        let everything = 0..state.bound() as KolIndex;
        let everything = everything.filter(|_| present.whole_lost);
        let mut repaired = 0;
        for kol in differs.into_iter().chain(everything) {
            let of_platform = state.name(kol).is_some_and(|(p, _)| p == *platform);
            if of_platform && self.ledger.lost(kol) {
                state.put_back(Consumer::Delivery, kol);
                repaired += 1;
            }
        }
        repaired
    }

    /// Redis has a KOL for which this partition answers.
    pub fn reconcile(&mut self, state: &mut State, platform: &str, name: &str) -> Reconciled {
        let Some(kol) = state.find(platform, name) else {
            return Reconciled::Orphan;
        };
        if self.ledger.outgoing(state, kol).is_none() {
            self.ledger.found(kol);
            state.put_back(Consumer::Delivery, kol);
        }
        Reconciled::Known
    }
}

#[cfg(test)]
#[path = "differences_tests.rs"]
mod tests;
