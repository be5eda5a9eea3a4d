//! Programs that the loader runs itself, with `BPF_PROG_TEST_RUN`.

use manifest::AttachPoint;

use super::Record;

pub(super) fn begin() -> Record {
    Record { section: "raw_tp/begin".into(), at: AttachPoint::Begin }
}

pub(super) fn end() -> Record {
    Record { section: "raw_tp/end".into(), at: AttachPoint::End }
}

pub(super) fn signal(signal: &str) -> Record {
    let at = AttachPoint::SelfSignal(signal.to_owned());
    Record { section: format!("raw_tp/{signal}"), at }
}
