//! Idempotency keys: looked up and written in the command's own transaction.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};
use domain::TenantId;

use crate::command::IdempotencyKey;
use crate::sql::batch::Batch;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// What a key guards.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guarded {
    Submit,
    Register,
    CreateApiKey,
}

impl Guarded {
    /// Its stored number.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Submit => 0,
            Self::Register => 1,
            Self::CreateApiKey => 3,
        }
    }
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, or nothing that still holds.
    New,
    /// The same request came before and made this.
    Same(i64),
    /// Another request came with it.
    Other,
}

/// Looks a key up. One whose time is over is new.
pub(super) fn look_up(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    guarded: Guarded,
    key: &IdempotencyKey,
) -> Result<Known, Failure> {
    let found = match batch.conn.gathering() {
        Some(session) => session.key(tenant, &key.hash, guarded.code())?,
        None => {
            let load = LoadKey { tenant: tenant.0, hash: &key.hash, kind: guarded.code() };
            batch.conn.peek::<(i64, Vec<u8>, i64), _>(load).optional()?
        }
    };
    Ok(match found {
        Some((subject, fingerprint, expires_at)) if expires_at > batch.now.as_micros() => {
            if fingerprint == key.fingerprint { Known::Same(subject) } else { Known::Other }
        }
        Some(_) | None => Known::New,
    })
}

/// Writes a key, in place of one whose time is over.
pub(super) fn store(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    guarded: Guarded,
    key: &IdempotencyKey,
    subject: i64,
) -> Result<(), Failure> {
    let (kind, expires_at) = (guarded.code(), batch.now.plus_ms(key.ttl_ms).as_micros());
    if let Some(session) = batch.conn.gathering() {
        session.put_key((tenant, &key.hash, kind), subject, &key.fingerprint, expires_at);
        return Ok(());
    }
    let (hash, fingerprint) = (&key.hash[..], &key.fingerprint[..]);
    batch.conn.execute_aside(StoreKey { tenant: tenant.0, hash, kind, subject, fingerprint, expires_at })?;
    Ok(())
}

statement! {
    /// One key.
    LoadKey<'a> { tenant: i64, hash: &'a [u8], kind: i16 } -> (BigInt, Binary, BigInt) =
    "SELECT subject_id, fingerprint, expires_at FROM task_keys WHERE tenant_id = "; tenant,
    " AND hash = "; hash, " AND kind = "; kind
}

statement! {
    /// A new key, or a new use of an old one.
    StoreKey<'a> { tenant: i64, hash: &'a [u8], kind: i16, subject: i64, fingerprint: &'a [u8], expires_at: i64 } =
    "INSERT INTO task_keys (tenant_id, hash, kind, subject_id, fingerprint, expires_at) VALUES (";
    tenant, ", "; hash, ", "; kind, ", "; subject, ", "; fingerprint, ", "; expires_at,
    ") ON CONFLICT (tenant_id, hash, kind) DO UPDATE SET subject_id = excluded.subject_id, \
     fingerprint = excluded.fingerprint, expires_at = excluded.expires_at"
}
