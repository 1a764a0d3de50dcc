//! The transport over loopback: calls, who is let in, and what bad bytes do (reliability, row 16).

mod admission;
mod calls;
mod datagrams;
mod garbage;
mod limits;
mod support;
