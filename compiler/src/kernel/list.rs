//! `sondec list`.
