//! Query strings: decoded here, understood strictly by the protocol.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest};
use protocol::query::{Pairs, read_none};

use crate::problem::Problem;

/// The decoded parameters of a request.
pub(crate) struct Given(pub(crate) Pairs);

impl FromRequest for Given {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pairs(request.query_string()).map(Self))
    }
}

/// Says that a route knows no parameters: a request with any is refused.
pub(crate) struct NoQuery;

impl FromRequest for NoQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.query_string();
        if text.is_empty() {
            return ready(Ok(Self));
        }
        ready(pairs(text).and_then(|pairs| Ok(read_none(pairs)?)).map(|()| Self))
    }
}

fn pairs(text: &str) -> Result<Pairs, Problem> {
    let read = Query::<Pairs>::from_query(text);
    read.map(Query::into_inner).map_err(|_| Problem::invalid("", "the query string cannot be decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_stand_several_times() {
        let given = pairs("label=a%3Db&label=c:d+e&limit=1").unwrap();
        let expected = [("label", "a=b"), ("label", "c:d e"), ("limit", "1")];
        assert_eq!(given, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(pairs("").unwrap(), []);
    }
}
