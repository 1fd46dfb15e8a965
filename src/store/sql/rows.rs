//! Rows that SQLite is given several at a time: one prepared statement for sixteen, one for four and one for a single row
//! serve every number of them.

use diesel::RunQueryDsl;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sqlite::{Sqlite, SqliteConnection};

/// Rows of the statements for many and for a few.
const MANY: usize = 16;
const FEW: usize = 4;

/// A row that is inserted beside others of its kind.
pub(crate) trait Row {
    /// Names the statement, whatever its rows borrow.
    type Id: 'static;
    /// The statement up to its first row.
    const INTO: &'static str;

    /// Adds the row, with its parentheses.
    fn push<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
}

/// Makes a struct a [`Row`]: the statement up to its rows, the fields that are bound, and what stands in every row alike.
macro_rules! row {
    ($name:ident $(<$life:lifetime>)?, $into:expr, [$first:ident $(, $bind:ident)* $(,)?], $alike:expr) => {
        impl $(<$life>)? $crate::sql::rows::Row for $name $(<$life>)? {
            type Id = row!(@id $name $($life)?);
            const INTO: &'static str = $into;

            fn push<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::result::QueryResult<()> {
                out.push_sql("(");
                $crate::sql::statement::Bound::bind_sqlite(&self.$first, out.reborrow())?;
                $(
                    out.push_sql(", ");
                    $crate::sql::statement::Bound::bind_sqlite(&self.$bind, out.reborrow())?;
                )*
                out.push_sql(concat!($alike, ")"));
                Ok(())
            }
        }
    };
    (@id $name:ident $life:lifetime) => { $name<'static> };
    (@id $name:ident) => { $name };
}
pub(crate) use row;

/// Writes rows in their order.
pub(crate) fn insert<R: Row>(conn: &mut SqliteConnection, rows: &[R]) -> QueryResult<()> {
    let (many, rest) = rows.as_chunks::<MANY>();
    for rows in many {
        Insert::<R, MANY>(rows).execute(conn)?;
    }
    let (few, rest) = rest.as_chunks::<FEW>();
    for rows in few {
        Insert::<R, FEW>(rows).execute(conn)?;
    }
    for row in rest {
        Insert::<R, 1>(std::array::from_ref(row)).execute(conn)?;
    }
    Ok(())
}

/// A fixed number of new rows.
struct Insert<'a, R, const N: usize>(&'a [R; N]);

impl<R: Row, const N: usize> QueryId for Insert<'_, R, N> {
    type QueryId = Insert<'static, R::Id, N>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<R, const N: usize> RunQueryDsl<SqliteConnection> for Insert<'_, R, N> {}

impl<R: Row, const N: usize> QueryFragment<Sqlite> for Insert<'_, R, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(R::INTO);
        for (place, row) in self.0.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            row.push(out.reborrow())?;
        }
        Ok(())
    }
}
