//! When everything that waited to be sent at some moment has arrived in Redis.
//!
//! KOLs are taken in the order in which they came to wait. So all that waited at some moment have arrived
//! once as many were taken, and nothing of them is in flight.

/// See the module. Places in the line are counted from the start of the partition.
#[derive(Debug, Default)]
pub struct Line {
    taken: u64,
    /// Everything before this place must arrive.
    awaited: Option<u64>,
}

impl Line {
    /// The first in line was taken.
    pub fn take_one(&mut self) {
        self.taken += 1;
    }

    /// Everything that waits now must arrive: so many KOLs.
    pub fn await_all(&mut self, waiting: usize) {
        self.awaited = Some(self.taken + waiting as u64);
    }

    /// What failed to arrive is at the end of the line again, which has so many KOLs now.
    pub fn set_back(&mut self, waiting: usize) {
        if self.awaited.is_some() {
            self.await_all(waiting);
        }
    }

    /// Whether what is awaited was taken; then nothing is awaited any more. To be called while nothing is
    /// in flight.
    pub fn settle(&mut self) -> bool {
        let settled = self.awaited.is_some_and(|place| self.taken >= place);
        if settled {
            self.awaited = None;
        }
        settled
    }

    /// Nothing is awaited any more.
    pub fn forget_awaited(&mut self) {
        self.awaited = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_has_arrived_when_as_many_were_taken_and_that_is_said_once() {
        let mut line = Line::default();
        assert!(!line.settle(), "nothing is awaited");
        line.take_one();
        line.await_all(2);
        line.take_one();
        assert!(!line.settle());
        line.take_one();
        assert!(line.settle());
        assert!(!line.settle());
    }

    #[test]
    fn what_failed_to_arrive_is_awaited_at_the_end_of_the_line() {
        let mut line = Line::default();
        line.set_back(5);
        assert!(!line.settle(), "nothing was awaited");
        line.await_all(1);
        line.take_one();
        // It came back behind another one.
        line.set_back(2);
        line.take_one();
        assert!(!line.settle());
        line.take_one();
        assert!(line.settle());
    }
}
