//! What a table holds, in one number: SHA-256 over its rows in the order of its key.
//!
//! It shares nothing with the way that rows travel, so that an error there is seen here: columns, their types and the key
//! come from the database's own catalog, every value is written as the hex of its text, and all rows are one stream.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use sha2::{Digest as _, Sha256};

use crate::sql::conn::Conn;
use crate::sql::failure::Failure;

/// Rows that a server sends at a time.
const FETCHED: usize = 64;

/// What was found in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    /// Its columns, by name.
    pub columns: Vec<String>,
    /// How many rows there are.
    pub rows: u64,
    /// Of them all, in hex.
    pub sha256: String,
}

/// A column, by the catalog.
#[derive(Debug, QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    /// Its place in the key; 0 when it is not of it.
    #[diesel(sql_type = BigInt)]
    place: i64,
}

#[derive(Debug, QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// What a table holds. On a server within the open transaction, and with what this has written.
pub(super) fn of(conn: &mut Conn, table: &str) -> Result<Digest, Failure> {
    let columns: Vec<Column> = conn.load(diesel::sql_query(catalog(conn, table)))?;
    let select = select(conn, table, &columns);
    let mut digest = Running { hash: Sha256::new(), rows: 0 };
    match conn {
        Conn::Sqlite(session) => {
            use diesel::RunQueryDsl as _;
            for line in diesel::sql_query(select)
                .load_iter::<Line, diesel::connection::DefaultLoadingMode>(session.aside())?
            {
                digest.add(&line?);
            }
        }
        Conn::Postgres(_) => {
            conn.batch_execute(&format!("DECLARE digested NO SCROLL CURSOR FOR {select}"))?;
            loop {
                let lines: Vec<Line> =
                    conn.load(diesel::sql_query(format!("FETCH {FETCHED} FROM digested")))?;
                if lines.is_empty() {
                    break;
                }
                lines.iter().for_each(|line| digest.add(line));
            }
            conn.batch_execute("CLOSE digested")?;
        }
    }
    let mut names: Vec<String> = columns.into_iter().map(|column| column.name).collect();
    names.sort();
    let sha256 = digest.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Digest { columns: names, rows: digest.rows, sha256 })
}

struct Running {
    hash: Sha256,
    rows: u64,
}

impl Running {
    fn add(&mut self, line: &Line) {
        self.rows += 1;
        self.hash.update(line.line.as_bytes());
        self.hash.update(b"\n");
    }
}

fn catalog(conn: &Conn, table: &str) -> String {
    match conn {
        Conn::Sqlite(_) => {
            format!(
                "SELECT name, lower(type) AS kind, CAST(pk AS BIGINT) AS place FROM pragma_table_info('{table}')"
            )
        }
        Conn::Postgres(_) => format!(
            "SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS kind, \
             coalesce(array_position(i.indkey::smallint[], a.attnum) + 1, 0)::bigint AS place \
             FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
             WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        ),
    }
}

/// Every row as one text: its values by the names of their columns, `-` for none.
fn select(conn: &Conn, table: &str, columns: &[Column]) -> String {
    let by_name: BTreeMap<&str, &str> =
        columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect();
    let is_server = matches!(conn, Conn::Postgres(_));
    let values: Vec<String> = by_name
        .iter()
        .map(|(name, kind)| {
            let shown = match (is_server, *kind) {
                (false, "blob") => format!("hex({name})"),
                (false, _) => format!("hex(CAST({name} AS TEXT))"),
                (true, "bytea") => format!("encode({name}, 'hex')"),
                (true, "boolean") => format!("encode(convert_to({name}::integer::text, 'UTF8'), 'hex')"),
                (true, _) => format!("encode(convert_to({name}::text, 'UTF8'), 'hex')"),
            };
            // hex() of nothing is an empty text, which is a value of its own.
            format!("CASE WHEN {name} IS NULL THEN '-' ELSE lower({shown}) END")
        })
        .collect();
    let mut key: Vec<&Column> = columns.iter().filter(|column| column.place > 0).collect();
    key.sort_by_key(|column| column.place);
    let key: Vec<&str> = key.iter().map(|column| column.name.as_str()).collect();
    format!("SELECT {} AS line FROM {table} ORDER BY {}", values.join(" || ',' || "), key.join(", "))
}
