//! What each role may: the rights, who has them, and the extractor by which an endpoint demands one.
//!
//! Invariant: an endpoint under `/api` names the right it needs in its signature, or the table of routes does not
//! compile; the table in `docs/security.md` is made from these signatures.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, Handler, HttpMessage, HttpRequest};
use domain::Role;

use crate::principal::Principal;
use crate::problem::Problem;
use crate::state::Hive;

/// How far a role has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Not at all.
    No,
    /// In full.
    Yes,
    /// For what its own agent holds. Everything else is answered as if it did not exist.
    Own,
    /// For agents that are workers. A process agent takes [`Right::RunCommands`], too.
    Workers,
}

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident, $what:literal: $admin:ident $operator:ident $developer:ident $viewer:ident $agent:ident;)*) => {
        /// Something that not everybody may.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Right {
            $($(#[$doc])* $right,)*
        }

        impl Right {
            /// What it allows, to begin a sentence with.
            pub(crate) const fn what(self) -> &'static str {
                match self { $(Self::$right => $what,)* }
            }

            /// How far a role has it.
            pub(crate) const fn grant(self, role: Role) -> Grant {
                match self {
                    $(Self::$right => match role {
                        Role::Admin => Grant::$admin,
                        Role::Operator => Grant::$operator,
                        Role::Developer => Grant::$developer,
                        Role::Viewer => Grant::$viewer,
                        Role::Agent => Grant::$agent,
                    },)*
                }
            }
        }

        $($(#[$doc])* pub(crate) enum $right {}

        impl Permission for $right {
            const RIGHT: Right = Right::$right;
        })*
    };
}

rights! {
    // right, in words:                                           admin operator developer viewer agent
    /// Reads everything but keys.
    ReadHive, "looking at everything":                               Yes Yes Yes Yes No;
    /// Reads one task.
    ReadTask, "reading a task":                                      Yes Yes Yes Yes Own;
    /// Submits, cancels, retries, redrives and changes tasks.
    ChangeTasks, "handing in and changing tasks":                    Yes Yes Yes No No;
    /// Takes assignments and reports about them.
    Work, "taking assignments and reporting about them":             Yes Yes No No Own;
    /// Pauses and resumes queues, and sets their limits.
    ManageQueues, "managing queues":                                 Yes Yes No No No;
    /// Registers, changes, drains, restarts and removes agents.
    ManageAgents, "managing agents":                                 Yes Workers No No No;
    /// Makes, changes and steers agents that are commands on the hive's machine.
    RunCommands, "managing process agents is remote execution on the hive's machine: it": Yes No No No No;
    /// Removes worktrees.
    DeleteWorkspaces, "removing workspaces deletes files on the hive's machine: it": Yes No No No No;
    /// Follows the hive over a WebSocket; an agent sees itself.
    Watch, "watching the hive":                                      Yes Yes Yes Yes Own;
    /// Speaks to the sessions of others, and ends them.
    ManageSessions, "managing sessions":                             Yes Yes No No No;
    /// Makes, lists and removes API keys.
    ManageKeys, "managing API keys":                                 Yes No No No No;
}

impl Right {
    /// The roles that have it at least in part, in words: `admin, operator or developer`.
    pub(crate) fn roles(self) -> String {
        let having = Role::ALL.into_iter().filter(|role| self.grant(*role) != Grant::No);
        let words: Vec<&str> = having.map(Role::as_str).collect();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "of nobody".to_owned(),
        }
    }
}

/// A right as a type.
pub(crate) trait Permission {
    /// The right.
    const RIGHT: Right;
}

/// The principal of a request that has the right `P`.
pub(crate) struct Allowed<P> {
    principal: Principal,
    permission: PhantomData<P>,
}

impl<P> Deref for Allowed<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Principal>().cloned().ok_or(Problem::Unauthorized);
        ready(principal.and_then(|principal| {
            principal.demand::<P>()?;
            Ok(Self { principal, permission: PhantomData })
        }))
    }
}

/// Arguments of an endpoint that demands a right, before anything of the request is read.
pub(crate) trait Guarded {
    /// The right.
    const RIGHT: Right;
}

macro_rules! guarded {
    ($($($argument:ident)*;)*) => { $(
        impl<P: Permission $(, $argument)*> Guarded for (Hive, Allowed<P> $(, $argument)*) {
            const RIGHT: Right = P::RIGHT;
        }
    )* };
}

guarded! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
}

/// The right that an endpoint demands.
pub(crate) fn right_of<F: Handler<Args>, Args: Guarded>(_: F) -> Right {
    Args::RIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_that_have_a_right_are_told_in_words() {
        assert_eq!(Right::ManageKeys.roles(), "admin");
        assert_eq!(Right::ManageAgents.roles(), "admin or operator");
        assert_eq!(Right::Work.roles(), "admin, operator or agent");
    }

    #[test]
    fn an_admin_may_everything_and_each_role_of_people_may_all_that_the_next_one_may() {
        let rights = crate::routes::rights().into_iter().map(|(_, _, right)| right);
        for right in rights.chain([Right::RunCommands]) {
            assert_eq!(right.grant(Role::Admin), Grant::Yes, "{right:?}");
            let people = [Role::Viewer, Role::Developer, Role::Operator, Role::Admin];
            let may = people.map(|role| right.grant(role) != Grant::No);
            assert!(may.is_sorted(), "{right:?}: {may:?}");
        }
    }
}
