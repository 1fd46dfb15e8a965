//! Arrivals at fixed times, whether or not what came before is done: the load of people who do not wait for each other.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;

use crate::wire::{Place, Wire};

/// Moments at which something is due, so many per second from `begin` until `end`, each said when it has come.
///
/// A thread of its own keeps the time: a timer of the runtime is a millisecond wide.
#[expect(clippy::disallowed_methods, reason = "it ends with the load, by itself or with the process")]
pub fn arrivals(per_second: f64, begin: Instant, end: Instant) -> mpsc::UnboundedReceiver<Instant> {
    let (say, due) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        // As exact as the kernel can; where it refuses, up to 50 microseconds late.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZero::new(1));
        for number in 0_u32.. {
            let at = begin + Duration::from_secs_f64(f64::from(number) / per_second);
            if at >= end {
                return;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if say.send(at).is_err() {
                return;
            }
        }
    });
    due
}

/// How long a connection is kept that nobody uses: shorter than the hive keeps it.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// Connections that are free, and since when.
#[derive(Debug, Clone)]
pub struct Pool {
    place: Place,
    free: Rc<RefCell<Vec<(Wire, Instant)>>>,
}

impl Pool {
    /// One with so many connections; there will be more when all are taken.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn new(place: Place, count: usize) -> Result<Self> {
        let mut free = Vec::new();
        for _ in 0..count {
            free.push((place.connect().await?, Instant::now()));
        }
        Ok(Self { place, free: Rc::new(RefCell::new(free)) })
    }

    /// A free connection.
    ///
    /// # Errors
    /// When there is none, and no new one.
    pub async fn take(&self) -> Result<Wire> {
        let free = self.free.borrow_mut().pop();
        match free {
            Some((wire, since)) if since.elapsed() < IDLE_MAX => Ok(wire),
            // Those below have been there for longer still.
            Some(_) => {
                self.free.borrow_mut().clear();
                self.place.connect().await
            }
            None => self.place.connect().await,
        }
    }

    /// Gives one back that has answered.
    pub fn give_back(&self, wire: Wire) {
        self.free.borrow_mut().push((wire, Instant::now()));
    }
}
