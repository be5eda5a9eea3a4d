//! Runs a batch of jobs inside the guest: `guest DIR` reads DIR/jobs.json and leaves each job's output,
//! exit status, times and peak memory in DIR, the `.json` last and whole.

use std::error::Error;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::job::{ATTACHED, Job, Outcome};

/// A shell that hangs must not take the batch with it.
const SHELL_LIMIT: Duration = Duration::from_secs(150);
/// After SIGKILL, and for pipes that a stray grandchild keeps open.
const GRACE: Duration = Duration::from_secs(5);

enum Event {
    Attached(Instant),
    Exited { at: Instant, status: i32, rss_kib_max: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    let share = std::env::args_os().nth(1).ok_or("usage: guest DIR")?;
    let share = Path::new(&share);
    let jobs: Vec<Job> = serde_json::from_slice(&std::fs::read(share.join("jobs.json"))?)?;
    for job in &jobs {
        let outcome = run(job)?;
        let file = |kind: &str| share.join(format!("{}.{kind}", job.id));
        std::fs::write(file("out"), &outcome.out)?;
        std::fs::write(file("err"), &outcome.err)?;
        std::fs::write(file("trigger"), &outcome.trigger_log)?;
        std::fs::write(file("json.new"), serde_json::to_string(&outcome)?)?;
        std::fs::rename(file("json.new"), file("json"))?;
    }
    Ok(())
}

fn run(job: &Job) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::default();
    shell(&job.before, &mut outcome)?;
    let (tx, rx) = channel();
    let start = Instant::now();
    let mut command = Command::new(&job.argv[0]);
    command.args(&job.argv[1..]).process_group(0).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if job.is_tracer {
        command.env(ATTACHED, "1");
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            outcome.status = 127;
            outcome.err = format!("guest: cannot run {}: {e}\n", job.argv[0]);
            return Ok(outcome);
        }
    };
    let pid = child.id() as libc::pid_t;
    let stdout = drain(child.stdout.take().ok_or("no stdout")?, tx.clone());
    let stderr = drain(child.stderr.take().ok_or("no stderr")?, channel().0);
    std::thread::spawn(move || reap(pid, &tx));

    follow(job, pid, start, &rx, &mut outcome)?;
    outcome.out = collect(stdout);
    outcome.err = collect(stderr);
    // A tracer that ends at once can be reaped before its attached line is read.
    if let Ok(Event::Attached(at)) = rx.try_recv() {
        outcome.attached_ns = Some((at - start).as_nanos() as u64);
    }
    shell(&job.after, &mut outcome)?;
    Ok(outcome)
}

/// Waits for the attached line, triggers, interrupts, and waits for the end; kills at the limit.
fn follow(
    job: &Job,
    pid: libc::pid_t,
    start: Instant,
    rx: &Receiver<Event>,
    outcome: &mut Outcome,
) -> Result<(), Box<dyn Error>> {
    if !job.is_tracer {
        outcome.trigger_status = shell(&job.trigger, outcome)?;
    }
    let deadline = start + Duration::from_secs(job.limit_s);
    loop {
        match rx.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Attached(at)) => {
                outcome.attached_ns = Some((at - start).as_nanos() as u64);
                outcome.trigger_status = shell(&job.trigger, outcome)?;
                if let Some(ms) = job.interrupt_after_ms {
                    std::thread::sleep(Duration::from_millis(ms));
                    signal(pid, libc::SIGINT);
                }
            }
            Ok(Event::Exited { at, status, rss_kib_max }) => {
                outcome.wall_ns = (at - start).as_nanos() as u64;
                (outcome.status, outcome.rss_kib_max) = (status, rss_kib_max);
                // Grandchildren would hold the pipes open.
                signal(-pid, libc::SIGKILL);
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                outcome.timed_out = true;
                signal(-pid, libc::SIGKILL);
                let _ = rx.recv_timeout(GRACE);
                return Ok(());
            }
        }
    }
}

/// Reads a pipe to its end on a thread, reporting the moment the attached line arrives.
fn drain(mut pipe: impl Read + Send + 'static, tx: Sender<Event>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut all, mut chunk, mut seen) = (Vec::new(), [0; 65536], false);
        while let Ok(n @ 1..) = pipe.read(&mut chunk) {
            let now = Instant::now();
            let from = all.len().saturating_sub(ATTACHED.len());
            all.extend_from_slice(&chunk[..n]);
            if !seen && all[from..].windows(ATTACHED.len()).any(|w| w == ATTACHED.as_bytes()) {
                seen = true;
                let _ = tx.send(Event::Attached(now));
            }
        }
        all
    })
}

fn collect(reader: JoinHandle<Vec<u8>>) -> String {
    let until = Instant::now() + GRACE;
    while !reader.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !reader.is_finished() {
        return "guest: the pipe was still open\n".into();
    }
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

/// Runs shell text, appending what it prints to the trigger log.
fn shell(text: &str, outcome: &mut Outcome) -> Result<i32, Box<dyn Error>> {
    if text.is_empty() {
        return Ok(0);
    }
    let log = std::fs::File::create("/tmp/trigger.log")?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", text])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let until = Instant::now() + SHELL_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status.code().unwrap_or(128);
        }
        if Instant::now() > until {
            child.kill()?;
            break 124;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    outcome.trigger_log += &String::from_utf8_lossy(&std::fs::read("/tmp/trigger.log")?);
    if status != 0 {
        outcome.trigger_log += &format!("(status {status})\n");
    }
    Ok(status)
}

fn reap(pid: libc::pid_t, tx: &Sender<Event>) {
    let mut raw = 0;
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals; the pid is our child and nobody else waits for it.
    let got = unsafe { libc::wait4(pid, &mut raw, 0, &mut usage) };
    let at = Instant::now();
    let status = match () {
        () if got != pid => 127,
        () if libc::WIFEXITED(raw) => libc::WEXITSTATUS(raw),
        () => 128 + libc::WTERMSIG(raw),
    };
    let _ = tx.send(Event::Exited { at, status, rss_kib_max: usage.ru_maxrss as u64 });
}

fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill takes no pointers; a process that is already gone is ESRCH, which is fine here.
    unsafe { libc::kill(pid, signal) };
}
