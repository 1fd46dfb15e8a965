//! The database under the writer, and what goes wrong with it: it is out of reach, before or after a commit; the writer
//! dies over it; the process ends around it. Every commit is shown to the witness.

use std::rc::Rc;

use store::command::Command;
use store::port::{BatchError, BatchWriter, Committed};

use crate::chance::Chance;
use crate::world::{Ended, World};

/// See the module.
pub struct Disk {
    real: Box<dyn BatchWriter>,
    world: Rc<World>,
    chance: Chance,
}

impl Disk {
    pub fn new(real: Box<dyn BatchWriter>, world: Rc<World>, chance: Chance) -> Self {
        Self { real, world, chance }
    }

    /// Whether something goes wrong here that happens so many times in a thousand.
    fn goes_wrong(&mut self, permille: u64, what: &str) -> bool {
        let throws = self.chance.once_in_a_while(permille);
        let is_wrong = throws && !self.world.is_calm();
        if is_wrong {
            self.world.count(|figures| figures.faults += 1);
            self.world.note("disk", what);
        }
        is_wrong
    }

    fn crash(&mut self) -> BatchError {
        let down_ms = self.chance.between(10, 8_000);
        self.world.end(Ended::Crashed { down_ms });
        BatchError::Unavailable("the process has ended".to_owned())
    }
}

impl BatchWriter for Disk {
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError> {
        let script = self.world.script.writer.clone();
        if self.goes_wrong(script.crashes_before_commit, "the process ends before a commit") {
            return Err(self.crash());
        }
        if self.goes_wrong(script.panics, "the writer dies before a commit") {
            std::panic::panic_any("planned: before a commit");
        }
        if self.goes_wrong(script.fails, "out of reach before a commit") {
            return Err(BatchError::Unavailable("out of reach".to_owned()));
        }
        let committed = self.real.apply(batch)?;
        self.world.count(|figures| {
            figures.commits += 1;
            figures.events += u64::try_from(committed.events.len()).unwrap_or(0);
        });
        let broken = self.world.witness.borrow_mut().see(&self.world, batch, &committed);
        for what in broken {
            self.world.breach(what);
        }
        if self.goes_wrong(script.crashes_after_commit, "the process ends between a commit and its answers") {
            return Err(self.crash());
        }
        if self.goes_wrong(script.panics_after_commit, "the writer dies between a commit and its answers") {
            std::panic::panic_any("planned: after a commit");
        }
        if self.goes_wrong(script.fails_after_commit, "out of reach after a commit: its fate is unknown") {
            return Err(BatchError::Unavailable("out of reach".to_owned()));
        }
        Ok(committed)
    }

    fn tidy(&mut self) {
        self.real.tidy();
    }
}
