//! The guard's one loop: waits for the hive's word, the command's end and the next count, and ends what is left.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use domain::ProcessLimits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

use super::launch::Launched;
use super::tally::Tally;
use super::tree::{Identity, Stat, descendants};
use super::words::{Ended, How, Line, Spec, Told};

/// From one count to the next.
const BEAT: Duration = Duration::from_millis(100);
/// The same while memory is limited: what can be taken between two counts is beyond the limit.
const QUICK_BEAT: Duration = Duration::from_millis(20);
/// From one look at the dying to the next.
const DYING_BEAT: Duration = Duration::from_millis(5);
/// How long the guard tries to kill what is left. Longer lives only what the kernel holds (a dead disk) or protects.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Watch {
    control: Line,
    limits: ProcessLimits,
    kill_grace: Duration,
    timeout_at: Option<Instant>,
    tally: Tally,
    /// How the command itself ended.
    exit: Option<How>,
    ending: Option<Ending>,
}

/// It was asked to end, and has a little time.
struct Ending {
    how: How,
    kill_at: Instant,
}

/// What the hive said.
enum Heard {
    Nothing,
    End,
    Gone,
}

impl Watch {
    /// The clock of the attempt starts here.
    pub(super) fn new(control: Line, spec: &Spec) -> Self {
        let timeout = spec.timeout_ms.map(Duration::from_millis);
        Self {
            control,
            limits: spec.order.limits,
            kill_grace: Duration::from_millis(spec.kill_grace_ms),
            timeout_at: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            tally: Tally::default(),
            exit: None,
            ending: None,
        }
    }

    /// Watches the command until nothing of the attempt is left.
    pub(super) fn until_ended(&mut self, launched: &Launched) -> Ended {
        // if the hive has gone, the loop sees it
        let _ = self.control.say(&Told::Started { pid: launched.main.pid });
        let how = self.watch(launched);
        if self.exit.is_none()
            && let Some(group) = Pid::from_raw(launched.main.pid)
        {
            // at once and all together, so that none forks meanwhile; the number is its own until it was waited for
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.ended(how)
    }

    /// The command could not be started; what there is of it is ended.
    pub(super) fn failed(&mut self, message: String) -> Ended {
        self.ended(How::FailedToStart { message })
    }

    pub(super) fn tell(&self, ended: Ended) {
        // the hive may have gone
        let _ = self.control.say(&Told::Ended(ended));
    }

    fn watch(&mut self, launched: &Launched) -> How {
        let mut count_at = Instant::now();
        loop {
            let has_children = self.bury(Some(launched.main));
            if let Some(how) = self.verdict(has_children) {
                return how;
            }
            if self.ending.is_none() && self.timeout_at.is_some_and(|at| Instant::now() >= at) {
                self.end(launched.main, How::TimedOut);
            }
            if Instant::now() >= count_at {
                if let Some(how) = self.count() {
                    return how;
                }
                count_at = Instant::now() + self.beat();
            }
            match self.hear(&launched.exit, count_at) {
                Heard::Nothing => {}
                Heard::End => self.end(launched.main, How::Asked),
                Heard::Gone => return How::HiveGone,
            }
        }
    }

    /// How it ended, if now is the time to kill what is left.
    fn verdict(&mut self, has_children: bool) -> Option<How> {
        match (&self.ending, &self.exit) {
            (Some(ending), _) => {
                (!has_children || Instant::now() >= ending.kill_at).then(|| ending.how.clone())
            }
            (None, Some(exit)) => {
                let exit = exit.clone();
                self.tally.close();
                let is_killed = matches!(exit, How::Signaled { .. });
                // by the kernel then, which limits each process on its own
                Some(if is_killed && self.is_out_of_cpu() { How::CpuLimit } else { exit })
            }
            (None, None) if has_children => None,
            (None, None) => {
                let message = "its end cannot be seen: the hive was started with SIGCHLD ignored";
                Some(How::FailedToStart { message: message.to_owned() })
            }
        }
    }

    /// Asks all to end; those that stand still are woken for it.
    fn end(&mut self, main: Identity, how: How) {
        if self.ending.is_some() {
            return;
        }
        // once it was waited for, its number may be another's
        let has_children = self.bury(Some(main));
        if self.exit.is_some() || !has_children {
            return; // it was quicker
        }
        if let Some(group) = Pid::from_raw(main.pid) {
            let _ = kill_process_group(group, Signal::TERM);
            let _ = kill_process_group(group, Signal::CONT);
        }
        for stat in living().iter().filter(|stat| stat.group != main.pid) {
            stat.identity.signal(Signal::TERM);
            stat.identity.signal(Signal::CONT);
        }
        self.ending = Some(Ending { how, kill_at: Instant::now() + self.kill_grace });
    }

    /// Counts what is used; how it ends if that is too much.
    fn count(&mut self) -> Option<How> {
        let rss_bytes = self.tally.count(&living());
        if self.ending.is_some() {
            return None;
        }
        if self.limits.memory_bytes.is_some_and(|limit| rss_bytes > limit) {
            return Some(How::MemoryLimit);
        }
        self.is_out_of_cpu().then_some(How::CpuLimit)
    }

    fn is_out_of_cpu(&self) -> bool {
        self.limits.cpu_ms.is_some_and(|limit| self.tally.cpu_ms >= limit)
    }

    fn beat(&self) -> Duration {
        match (&self.exit, self.limits.memory_bytes) {
            (Some(_), _) => DYING_BEAT,
            (None, Some(_)) => QUICK_BEAT,
            (None, None) => BEAT,
        }
    }

    /// Waits for a word of the hive, the command's end or the time, whichever comes first.
    fn hear(&mut self, exit: &OwnedFd, count_at: Instant) -> Heard {
        if !self.control.has_heard() {
            let end_at = self.ending.as_ref().map(|ending| ending.kill_at).or(self.timeout_at);
            let wake_at = end_at.map_or(count_at, |at| at.min(count_at));
            let wait = Timespec::try_from(wake_at.saturating_duration_since(Instant::now())).ok();
            let control = PollFd::new(self.control.socket(), PollFlags::IN);
            let exit = PollFd::new(exit, PollFlags::IN);
            // one that was waited for stays readable
            let mut either = [control, exit];
            let count = if self.exit.is_none() { 2 } else { 1 };
            let watched = either.get_mut(..count).unwrap_or_default();
            let is_silent = poll(watched, wait.as_ref()).is_err()
                || watched.first().is_none_or(|control| control.revents().is_empty());
            if is_silent {
                return Heard::Nothing;
            }
        }
        match self.control.hear_end() {
            Some(true) => Heard::End,
            Some(false) => Heard::Nothing,
            None => Heard::Gone,
        }
    }

    /// Waits for those that have ended, adopted ones included; answers whether there are others.
    fn bury(&mut self, main: Option<Identity>) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if main.is_some_and(|main| main.pid == pid.as_raw_pid()) {
                        self.exit = Some(seen(status));
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Kills until nothing is left: who dies leaves its children to the guard, so each look finds the next ones.
    fn ended(&mut self, how: How) -> Ended {
        let give_up_at = Instant::now() + KILL_TIMEOUT;
        let mut left_count = 0;
        while self.bury(None) {
            let left = living();
            self.tally.count(&left);
            for stat in &left {
                stat.identity.signal(Signal::KILL);
            }
            left_count = left.iter().filter(|stat| !stat.is_zombie).count();
            if Instant::now() >= give_up_at {
                break;
            }
            left_count = 0;
            thread::sleep(DYING_BEAT);
        }
        self.tally.close();
        let Tally { cpu_ms, peak_rss_bytes } = self.tally;
        Ended { how, cpu_ms, peak_rss_bytes, left_count }
    }
}

/// All that the guard is responsible for.
fn living() -> Vec<Stat> {
    descendants(rustix::process::getpid().as_raw_pid())
}

fn seen(status: WaitStatus) -> How {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => How::Exited { code },
        (None, signal) => How::Signaled { signal: signal.unwrap_or_default() },
    }
}
