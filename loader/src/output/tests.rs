//! Tables of expected bytes.
