//! Hot statements: SQL text with typed binds, prepared once a connection.
//!
//! diesel prepares `sql_query` anew each time and builds the text of an update each time; a newtype with a static
//! query id is found by its type. Text rather than DSL also because a partial index is used only when its condition
//! stands in the statement as literals.

use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Integer, Nullable, SmallInt, Text};
use diesel::sqlite::Sqlite;

/// Which SQL type a value is bound as.
pub(crate) trait Bound {
    /// The type.
    type Sql;
}

macro_rules! bound {
    ($($rust:ty => $sql:ty,)*) => { $(
        impl Bound for $rust {
            type Sql = $sql;
        }
        impl Bound for Option<$rust> {
            type Sql = Nullable<$sql>;
        }
    )* };
}

bound! {
    i64 => BigInt,
    i32 => Integer,
    i16 => SmallInt,
    &str => Text,
    &[u8] => Binary,
}

/// Adds one bind.
pub(crate) fn bind<'b, T>(mut out: AstPass<'_, 'b, Sqlite>, value: &'b T) -> QueryResult<()>
where
    T: Bound + ToSql<T::Sql, Sqlite>,
    Sqlite: HasSqlType<T::Sql>,
{
    out.push_bind_param::<T::Sql, T>(value)
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
                    out.push_sql($text);
                    $($crate::sqlite::statement::bind(out.reborrow(), &self.$bind)?;)?
                )*
                Ok(())
            }
        }

        impl $(<$life>)? diesel::query_dsl::RunQueryDsl<diesel::sqlite::SqliteConnection> for $name $(<$life>)? {}

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
