//! What a supervisor and its server share, so that another server can take over the command: the [`record`]s that a
//! supervisor keeps in its [`spool`], the [`protocol`] in which a server asks for them, and the [`sockets`] where it
//! does. See docs/design/handover.md.

pub(super) mod custody;
pub(super) mod protocol;
pub(in crate::engine) mod record;
pub(super) mod sockets;
pub(super) mod spool;
