//! Hot statements: SQL text with typed binds, prepared once a connection.
//!
//! diesel prepares `sql_query` anew each time and builds the text of an update each time; a newtype with a static
//! query id is found by its type. Text rather than DSL also because a partial index is used only when its condition
//! stands in the statement as literals. Where the two databases say the same in different words, a piece of the text is
//! a pair: SQLite's words and PostgreSQL's.

use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};
use diesel::sqlite::Sqlite;

/// A piece of a statement's text.
pub(crate) trait Words {
    /// As SQLite reads it.
    fn sqlite(&self) -> &'static str;
    /// As PostgreSQL reads it.
    fn postgres(&self) -> &'static str;
}

impl Words for &'static str {
    fn sqlite(&self) -> &'static str {
        self
    }

    fn postgres(&self) -> &'static str {
        self
    }
}

impl Words for (&'static str, &'static str) {
    fn sqlite(&self) -> &'static str {
        self.0
    }

    fn postgres(&self) -> &'static str {
        self.1
    }
}

/// A value that is bound as the SQL type that belongs to it.
pub(crate) trait Bound {
    /// Adds it to a statement for SQLite.
    fn bind_sqlite<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
    /// Adds it to a statement for PostgreSQL.
    fn bind_postgres<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

macro_rules! bound {
    ($($rust:ty => $sql:ty,)*) => { $(
        bound!(@one $rust, $sql);
        bound!(@one Option<$rust>, Nullable<$sql>);
    )* };
    (@one $rust:ty, $sql:ty) => {
        impl Bound for $rust {
            fn bind_sqlite<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_bind_param::<$sql, Self>(self)
            }

            fn bind_postgres<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_bind_param::<$sql, Self>(self)
            }
        }
    };
}

bound! {
    i64 => BigInt,
    i32 => Integer,
    i16 => SmallInt,
    bool => Bool,
    &str => Text,
    &[u8] => Binary,
}

/// Declares a statement: its fields, the SQL types of its rows (none for one that is only executed), and its text as
/// pieces, each followed by the field that is bound after it.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? { $($field:ident: $ty:ty),* $(,)? }
        $(-> $rows:ty)? =
        $($text:expr $(; $bind:ident)?),* $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name $(<$life>)? { $(pub $field: $ty,)* }

        impl $(<$life>)? diesel::query_builder::QueryId for $name $(<$life>)? {
            type QueryId = statement!(@id $name $($life)?);
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $(<$life>)? diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for $name $(<$life>)? {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::result::QueryResult<()> {
                $(
                    out.push_sql($crate::sql::statement::Words::sqlite(&$text));
                    $($crate::sql::statement::Bound::bind_sqlite(&self.$bind, out.reborrow())?;)?
                )*
                Ok(())
            }
        }

        impl $(<$life>)? diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name $(<$life>)? {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::result::QueryResult<()> {
                $(
                    out.push_sql($crate::sql::statement::Words::postgres(&$text));
                    $($crate::sql::statement::Bound::bind_postgres(&self.$bind, out.reborrow())?;)?
                )*
                Ok(())
            }
        }

        impl<$($life,)? C> diesel::query_dsl::RunQueryDsl<C> for $name $(<$life>)? {}

        statement!(@rows $name ($($life)?) $($rows)?);
    };
    (@id $name:ident $life:lifetime) => { $name<'static> };
    (@id $name:ident) => { $name };
    (@rows $name:ident ($($life:lifetime)?)) => {};
    (@rows $name:ident ($($life:lifetime)?) $rows:ty) => {
        impl $(<$life>)? diesel::query_builder::Query for $name $(<$life>)? {
            type SqlType = $rows;
        }
    };
}
pub(crate) use statement;
