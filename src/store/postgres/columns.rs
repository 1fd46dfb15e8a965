//! Statements over arrays: one bind a column, whatever the number of rows.

/// Declares the rows of a set-based statement as columns: each field is the vector of one column, and the statement's
/// text is what stands before and after `unnest(…)` of them all.
macro_rules! rows {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? { $($field:ident: $ty:ty as $sql:ty),* $(,)? }
        $(-> $rows:ty)? =
        $before:expr, unnest, $after:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name $(<$life>)? { $(pub $field: Vec<$ty>,)* }

        impl $(<$life>)? diesel::query_builder::QueryId for $name $(<$life>)? {
            type QueryId = rows!(@id $name $($life)?);
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $(<$life>)? diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name $(<$life>)? {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::result::QueryResult<()> {
                out.push_sql($before);
                let mut between = "unnest(";
                $(
                    out.push_sql(between);
                    out.push_bind_param::<diesel::sql_types::Array<$sql>, Vec<$ty>>(&self.$field)?;
                    between = ", ";
                )*
                let _ = between;
                out.push_sql(")");
                out.push_sql($after);
                Ok(())
            }
        }

        impl<$($life,)? C> diesel::query_dsl::RunQueryDsl<C> for $name $(<$life>)? {}

        rows!(@rows $name ($($life)?) $($rows)?);
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
pub(crate) use rows;
