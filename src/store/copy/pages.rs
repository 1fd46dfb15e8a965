//! Rows on their way: a page is a JSON array of rows, each an array of its columns, made and read by the databases
//! themselves. Numbers and text pass through JSON as they are, bytes as hex.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use super::Progress;
use super::tables::{Holds, TableSpec};
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;

/// A row as it travels, and its key as the database it comes from writes it in a statement.
#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    sent: String,
    #[diesel(sql_type = Text)]
    key: String,
}

#[derive(Debug, QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many rows a table has.
pub(super) fn count(conn: &mut Conn, table: &str) -> Result<u64, Failure> {
    let counted: Count =
        conn.get_result(diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")))?;
    Ok(u64::try_from(counted.count).unwrap_or_default())
}

/// Copies all rows of a table, page by page in the order of its key.
pub(super) fn copy(
    table: &TableSpec,
    from: &mut Conn,
    to: &mut Conn,
    told: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let of = count(from, table.name)?;
    let insert = insert(table, to);
    let (mut rows, mut after) = (0, None);
    loop {
        let page: Vec<Row> = from.load(diesel::sql_query(select(table, from, after.as_deref())))?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        rows += u64::try_from(page.len()).unwrap_or_default();
        let lines: Vec<&str> = page.iter().map(|row| row.sent.as_str()).collect();
        to.execute(diesel::sql_query(&insert).bind::<Text, _>(format!("[{}]", lines.join(","))))?;
        told(Progress { table: table.name, rows, of });
    }
    Ok(())
}

/// The next rows after a key.
fn select(table: &TableSpec, conn: &Conn, after: Option<&str>) -> String {
    let TableSpec { name, columns, key, page } = table;
    let (array, is_server) = match conn {
        Conn::Sqlite(_) => ("json_array", false),
        Conn::Postgres(_) => ("json_build_array", true),
    };
    let values: Vec<String> = columns
        .iter()
        .map(|(column, holds)| match (holds, is_server) {
            (Holds::Bytes, false) => format!("hex({column})"),
            (Holds::Bytes, true) => format!("encode({column}, 'hex')"),
            (Holds::Number | Holds::Text | Holds::Truth, _) => (*column).to_owned(),
        })
        .collect();
    let keys: Vec<&str> = columns.iter().take(*key).map(|(column, _)| *column).collect();
    let quoted: Vec<String> =
        keys.iter()
            .map(|column| {
                if is_server { format!("quote_literal({column}::text)") } else { format!("quote({column})") }
            })
            .collect();
    let keys = keys.join(", ");
    let since = after.map(|after| format!("WHERE ({keys}) > ({after})")).unwrap_or_default();
    let cast = if is_server { "::text" } else { "" };
    format!(
        "SELECT {array}({}){cast} AS sent, {} AS key FROM {name} {since} ORDER BY {keys} LIMIT {page}",
        values.join(", "),
        quoted.join(" || ', ' || ")
    )
}

/// Inserts a page, which is bound.
fn insert(table: &TableSpec, conn: &Conn) -> String {
    let TableSpec { name, columns, .. } = table;
    let names: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
    let arriving = columns.iter().enumerate();
    let (values, rows): (Vec<String>, _) = match conn {
        Conn::Sqlite(_) => {
            let value = |(index, (_, holds)): (usize, &(&str, Holds))| match holds {
                Holds::Bytes => format!("unhex(json_extract(value, '$[{index}]'))"),
                Holds::Number | Holds::Text | Holds::Truth => format!("json_extract(value, '$[{index}]')"),
            };
            (arriving.map(value).collect(), "json_each(?)")
        }
        Conn::Postgres(_) => {
            let value = |(index, (_, holds)): (usize, &(&str, Holds))| match holds {
                Holds::Bytes => format!("decode(r ->> {index}, 'hex')"),
                Holds::Number => format!("(r ->> {index})::bigint"),
                Holds::Truth => format!("(r ->> {index})::boolean"),
                Holds::Text => format!("r ->> {index}"),
            };
            (arriving.map(value).collect(), "jsonb_array_elements($1::jsonb) AS r")
        }
    };
    format!("INSERT INTO {name} ({}) SELECT {} FROM {rows}", names.join(", "), values.join(", "))
}
