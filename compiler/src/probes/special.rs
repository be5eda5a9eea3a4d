//! Programs that the loader runs itself, with `BPF_PROG_TEST_RUN`.

use manifest::AttachPoint;

use super::Record;

pub(super) fn begin() -> Record {
    Record { section: "raw_tp/begin".into(), at: AttachPoint::Begin, filter_by_pid: false }
}

pub(super) fn end() -> Record {
    Record { section: "raw_tp/end".into(), at: AttachPoint::End, filter_by_pid: false }
}

pub(super) fn signal(signal: &str) -> Record {
    let at = AttachPoint::SelfSignal(signal.to_owned());
    Record { section: format!("raw_tp/{signal}"), at, filter_by_pid: false }
}
