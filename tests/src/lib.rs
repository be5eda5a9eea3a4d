//! End-to-end tests: scripts through `sondec`, objects through `sonde` on real kernels.
//!
//! A *case* ([`case`]) is a script with its expectation. A *batch* ([`vm`]) is one boot of one kernel
//! running many *jobs* ([`job`]) through the `guest` program. [`objects`] builds what is under test,
//! [`oracle`] keeps what the reference tracer printed for the same script, [`shape`] and
//! [`pattern`] compare. The tests themselves are in `tests/tests/`.

pub mod case;
pub mod host;
pub mod host_figures;
pub mod image;
pub mod job;
pub mod kernel_btf;
pub mod lab;
pub mod objects;
pub mod oracle;
pub mod pattern;
pub mod shape;
pub mod tree;
pub mod verdict;
pub mod vm;

/// Why a test could not be run or did not pass, in prose for the person reading the report.
pub type Failure = String;
