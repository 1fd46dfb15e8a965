//! Request bodies: bounded each by its kind, and all together by one budget.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use domain::Limits;
use prometheus::IntGauge;
use protocol::{Request, request};

use crate::connection::Client;
use crate::problem::Problem;
use crate::state::Hive;

/// Room for everything in a request beside the one JSON value that has a limit of its own.
const ENVELOPE_BYTES: usize = 256 << 10;

/// How large a body of one kind may be.
pub(crate) trait Kind {
    /// The limit in bytes.
    fn bytes_max(limits: &Limits) -> usize;
}

/// A task with its input.
pub(crate) enum WithInput {}
/// A report with a result.
pub(crate) enum WithResult {}
/// Many items.
pub(crate) enum Bulk {}
/// Everything else, output included.
pub(crate) enum Small {}

impl Kind for WithInput {
    fn bytes_max(limits: &Limits) -> usize {
        limits.input_bytes_max.saturating_add(ENVELOPE_BYTES)
    }
}

impl Kind for WithResult {
    fn bytes_max(limits: &Limits) -> usize {
        limits.result_bytes_max.saturating_add(ENVELOPE_BYTES)
    }
}

impl Kind for Bulk {
    fn bytes_max(_: &Limits) -> usize {
        domain::limits::BULK_BODY_BYTES_MAX
    }
}

impl Kind for Small {
    /// 64 KiB of output may take six times as much in JSON escapes.
    fn bytes_max(_: &Limits) -> usize {
        2 * ENVELOPE_BYTES
    }
}

/// A body that has arrived in whole. It holds its share of the budget until it is dropped.
pub(crate) struct Body<K> {
    bytes: Bytes,
    _share: Share,
    kind: PhantomData<K>,
}

impl<K: Kind> Body<K> {
    /// The bytes, as they came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads and checks it.
    pub(crate) fn read<R: Request>(&self, hive: &Hive) -> Result<R::Asked, Problem> {
        Ok(request::read::<R>(&self.bytes, hive.runtime.limits())?)
    }

    /// The same, where no body stands for the request's default.
    pub(crate) fn read_or_default<R: Request + Default>(&self, hive: &Hive) -> Result<R::Asked, Problem> {
        Ok(request::read_or_default::<R>(&self.bytes, hive.runtime.limits())?)
    }
}

impl<K: Kind + 'static> FromRequest for Body<K> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let hive = request.app_data::<Hive>().cloned();
        let declared =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let (payload, client) = (payload.take(), Client::of(request));
        Box::pin(async move {
            let hive = hive.ok_or_else(|| Problem::Internal { cause: "no state".to_owned() })?;
            let mut arrival = Arrival {
                share: Share { budget: Arc::clone(&hive.budget), bytes: 0 },
                bytes_max: K::bytes_max(hive.runtime.limits()),
                declared,
                client,
            };
            let within = hive.settings.body_timeout;
            let bytes = tokio::time::timeout(within, arrival.read(payload))
                .await
                .map_err(|_| Problem::BodyLate)??;
            Ok(Self { bytes, _share: arrival.share, kind: PhantomData })
        })
    }
}

/// A body on its way.
struct Arrival {
    share: Share,
    bytes_max: usize,
    declared: Option<usize>,
    client: Client,
}

impl Arrival {
    async fn read(&mut self, mut payload: Payload) -> Result<Bytes, Problem> {
        self.admit(self.declared.unwrap_or(0))?;
        let Some(first) = self.next(&mut payload, 0).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next(&mut payload, first.len()).await? else { return Ok(first) };
        let capacity = self.declared.unwrap_or(first.len() + second.len());
        let mut whole = BytesMut::with_capacity(capacity);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(more) = self.next(&mut payload, whole.len()).await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self, payload: &mut Payload, arrived: usize) -> Result<Option<Bytes>, Problem> {
        let Some(chunk) =
            self.client.next_piece(payload).await.transpose().map_err(|error| broken(&error))?
        else {
            return Ok(None);
        };
        self.admit(arrived.saturating_add(chunk.len()))?;
        Ok(Some(chunk))
    }

    /// Refuses a body that is or will be too large, and takes its share of the budget.
    fn admit(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes > self.bytes_max {
            return Err(Problem::PayloadTooLarge { bytes_max: self.bytes_max });
        }
        if self.share.grow_to(bytes) { Ok(()) } else { Err(Problem::Overloaded) }
    }
}

fn broken(error: &PayloadError) -> Problem {
    let what = match error {
        PayloadError::EncodingCorrupted => "is not chunked as it should be",
        _ => "ended early",
    };
    Problem::Malformed(format!("the body {what}"))
}

/// How many bytes of bodies there are, and may be.
pub(crate) struct Budget {
    used: AtomicUsize,
    bytes_max: usize,
    gauge: IntGauge,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize, gauge: IntGauge) -> Self {
        Self { used: AtomicUsize::new(0), bytes_max, gauge }
    }

    fn show(&self) {
        self.gauge.set(i64::try_from(self.used.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }
}

/// What one body takes of the budget.
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let used = self.budget.used.fetch_add(more, Ordering::Relaxed);
        if used.saturating_add(more) > self.budget.bytes_max {
            self.budget.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes = bytes;
        self.budget.show();
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
            self.budget.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_taken_once_and_given_back() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let budget = Arc::new(Budget::new(100, gauge.clone()));
        let mut one = Share { budget: Arc::clone(&budget), bytes: 0 };
        let mut other = Share { budget: Arc::clone(&budget), bytes: 0 };
        assert!(one.grow_to(60) && one.grow_to(60) && one.grow_to(70));
        assert!(!other.grow_to(31), "no room");
        assert_eq!(gauge.get(), 70, "what was refused takes nothing");
        assert!(other.grow_to(30));
        drop(one);
        assert_eq!(gauge.get(), 30);
        assert!(other.grow_to(100));
        drop(other);
        assert_eq!((gauge.get(), budget.used.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn every_kind_has_room_for_the_largest_value_it_may_carry() {
        let limits = Limits::default();
        assert!(WithInput::bytes_max(&limits) > limits.input_bytes_max);
        assert!(WithResult::bytes_max(&limits) > limits.result_bytes_max);
        assert!(Small::bytes_max(&limits) > 6 * domain::limits::OUTPUT_CHUNK_BYTES_MAX);
        assert_eq!(Bulk::bytes_max(&limits), 16 << 20);
    }
}
