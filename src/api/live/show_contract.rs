//! `GET /api/dashboard/websocket/contract`: which versions of the contract are spoken.

use protocol::live::answers::{ContractView, DeprecationView};
use protocol::live::{CONTRACT_VERSION, SUPPORTED_VERSIONS};

use crate::allowed::{Allowed, Watch};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;

/// Show the versions of the WebSocket contract.
#[utoipa::path(get, path = "/api/dashboard/websocket/contract", tag = "live",
    responses((status = 200, description = "The present one, and older ones that still fit", body = ContractView)))]
pub(crate) async fn show_contract(hive: Hive, _: Allowed<Watch>, _: NoQuery) -> Answer {
    ok(&ContractView {
        current_version: CONTRACT_VERSION.to_owned(),
        supported_versions: SUPPORTED_VERSIONS.map(str::to_owned).to_vec(),
        deprecation_policy: DeprecationView {
            policy: "A version stays supported until the next major one, and 90 days beyond its notice."
                .to_owned(),
            notice: "None is deprecated. A client for 1.0.0 ignores the types and fields that 1.1.0 added."
                .to_owned(),
        },
        timestamp: hive.clock.now(),
    })
}
