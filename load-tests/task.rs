//! The tasks that are submitted: nothing to do, an input of some 120 bytes, each with a number in its title, and with the
//! moment at which it was due.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use crate::sample::title;
use crate::wire::Place;

/// What makes the input as long as those of the systems that it is compared with.
const PAD: &str = "the quick brown fox jumps over the lazy dog, and over the next one, and over th";
/// When this process began to count time, and what time of day that was, in microseconds since 1970.
static BASE: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    (Instant::now(), u64::try_from(since.as_micros()).unwrap_or(0))
});

/// Numbers for tasks. Cheap to clone; none is given twice.
#[derive(Debug, Clone)]
pub struct Numbers {
    last: Rc<Cell<u64>>,
    most: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self::up_to(u64::MAX)
    }
}

impl Numbers {
    /// Numbers for at most so many tasks.
    pub fn up_to(most: u64) -> Self {
        Self { last: Rc::default(), most }
    }

    /// The next one; beyond the last it goes on, see [`Numbers::is_beyond`].
    pub fn next(&self) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        number
    }

    /// Whether a number is for no task any more.
    pub const fn is_beyond(&self, number: u64) -> bool {
        number > self.most
    }
}

/// A moment as it stands in an input: microseconds of the time of day, which have sixteen digits, as another process reads
/// them.
pub fn micros_at(at: Instant) -> u64 {
    let (base, micros) = *BASE;
    let between = |from: Instant, to: Instant| u64::try_from((to - from).as_micros()).unwrap_or(0);
    if at >= base { micros + between(base, at) } else { micros - between(at, base) }
}

/// The present moment, as it stands in an input.
pub fn micros_now() -> u64 {
    micros_at(Instant::now())
}

/// The moment that stands in an input.
pub fn moment(micros: u64) -> Instant {
    let (base, base_micros) = *BASE;
    let before = || base.checked_sub(Duration::from_micros(base_micros - micros)).unwrap_or(base);
    if micros >= base_micros { base + Duration::from_micros(micros - base_micros) } else { before() }
}

/// A task as JSON; `requires` is a capability, or empty.
pub fn body(number: u64, due: Instant, requires: &str) -> String {
    let requires = if requires.is_empty() { String::new() } else { format!(r#","requires":["{requires}"]"#) };
    let (title, due) = (title(number), micros_at(due));
    format!(r#"{{"title":"{title}","input":{{"due":{due},"pad":"{PAD}"}}{requires}}}"#)
}

/// A request that submits one task, to be sent again and again with other numbers: it costs no formatting.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    number_at: usize,
    due_at: usize,
}

impl Template {
    /// One for a place.
    pub fn new(place: &Place, requires: &str) -> Self {
        let bytes = place.post("/api/v2/tasks", &body(0, BASE.0, requires));
        let behind = |text: &[u8]| {
            let at = bytes.windows(text.len()).position(|part| part == text);
            at.map_or(0, |at| at + text.len())
        };
        let (number_at, due_at) = (behind(b"\"title\":\"load "), behind(b"\"due\":"));
        Self { bytes, number_at, due_at }
    }

    /// The request for a task.
    pub fn with(&mut self, number: u64, due: Instant) -> &[u8] {
        put(&mut self.bytes, self.number_at, number, 10);
        put(&mut self.bytes, self.due_at, micros_at(due), 16);
        &self.bytes
    }
}

/// Writes a number over as many digits.
fn put(bytes: &mut [u8], at: usize, number: u64, digits: usize) {
    let mut rest = number;
    for digit in bytes.get_mut(at..at + digits).into_iter().flatten().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_the_request_of_the_task_it_was_given() {
        let place = Place { address: "127.0.0.1:1".to_owned(), token: "t".to_owned() };
        let due = moment(micros_now() + 12_345_678);
        let mut template = Template::new(&place, "work");
        assert_eq!(template.with(4_711, due), place.post("/api/v2/tasks", &body(4_711, due, "work")));
        assert_eq!(
            template.with(9_999_999_999, due),
            place.post("/api/v2/tasks", &body(9_999_999_999, due, "work"))
        );
    }
}
