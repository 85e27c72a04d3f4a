//! What a day of several processes costs the API server, and how long they are without a leader.

use super::*;

const DAY: Duration = Duration::from_hours(24);
/// A call takes this long.
const CALL: Duration = Duration::from_millis(10);
/// The longest between two reads of one that stands by, with the read and the write that follow.
const STEP: Duration = RETRY.saturating_add(CALL.saturating_mul(3));

/// The API server's part: one lease, and who asked for it.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    writes: u64,
    refused: u64,
    reads: u64,
}

impl Server {
    fn write(&mut self, lease: Lease) -> Option<Lease> {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if self.lease.as_ref().and_then(version) != version(&lease) {
            self.refused += 1;
            return None;
        }
        self.writes += 1;
        let mut lease = lease;
        lease.metadata.resource_version = Some(self.writes.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }
}

struct Process {
    election: Election,
    wakes: Duration,
    waits: bool,
}

impl Process {
    fn new(identity: &str, wakes: Duration) -> Self {
        Self {
            election: candidate(identity),
            wakes,
            waits: false,
        }
    }

    fn leads(&self, now: Duration) -> bool {
        self.election.tenure().is_some_and(|end| now < end)
    }

    /// One step of what an elector does.
    fn step(&mut self, server: &mut Server) {
        let now = self.wakes;
        if std::mem::take(&mut self.waits) {
            self.election.waited(now);
        }
        match self.election.plan(now, noon()) {
            Plan::Look => {
                server.reads += 1;
                self.election.saw(server.lease.clone(), now);
                self.wakes += CALL;
            }
            Plan::Write(lease) => {
                self.wakes += CALL;
                if let Some(written) = server.write(*lease) {
                    self.election.wrote(written, now, self.wakes);
                } else {
                    self.election.forget();
                    self.wakes += RETRY;
                }
            }
            Plan::Wait(time) => {
                self.waits = true;
                self.wakes += time;
            }
            Plan::Rest(time) => self.wakes += time,
            Plan::Lost(lost) => panic!("{lost}"),
        }
    }
}

/// The time at which one leads, from the processes' next steps on.
fn until_led(processes: &mut [Process], server: &mut Server) -> Duration {
    loop {
        let next = processes.iter_mut().min_by_key(|process| process.wakes);
        let next = next.unwrap();
        let now = next.wakes;
        if processes.iter().any(|process| process.leads(now)) {
            return now;
        }
        let next = processes.iter_mut().min_by_key(|process| process.wakes);
        next.unwrap().step(server);
    }
}

fn run_until(end: Duration, processes: &mut [Process], server: &mut Server) {
    while let Some(next) = processes.iter_mut().min_by_key(|process| process.wakes)
        && next.wakes < end
    {
        next.step(server);
    }
}

fn three() -> Vec<Process> {
    [("a", 0), ("b", 700), ("c", 1300)]
        .map(|(identity, after)| Process::new(identity, START + Duration::from_millis(after)))
        .into()
}

#[test]
fn of_three_processes_one_writes_8640_times_a_day_and_the_others_read() {
    let (mut processes, mut server) = (three(), Server::default());
    run_until(START + DAY, &mut processes, &mut server);
    let leading = processes
        .iter()
        .filter(|process| process.leads(START + DAY));
    assert_eq!(leading.count(), 1);
    assert!(server.writes <= 8_640, "{}", server.writes);
    assert_eq!(server.refused, 0);
    assert!(server.reads <= 2 * 43_200, "{}", server.reads);
}

#[test]
fn another_leads_within_the_duration_and_a_step_when_the_leader_is_gone() {
    // Whenever in its period the leader goes.
    for tenths in 0..200 {
        let (mut processes, mut server) = (three(), Server::default());
        let gone = after(100) + Duration::from_millis(tenths * 100);
        run_until(gone, &mut processes, &mut server);
        processes.retain(|process| !process.leads(gone));
        assert_eq!(processes.len(), 2);
        let took = until_led(&mut processes, &mut server).saturating_sub(gone);
        assert!(took <= TERMS.duration + STEP, "{took:?}");
    }
}

#[test]
fn another_leads_within_two_seconds_when_the_leader_lets_go() {
    for tenths in 0..200 {
        let (mut processes, mut server) = (three(), Server::default());
        let gone = after(100) + Duration::from_millis(tenths * 100);
        run_until(gone, &mut processes, &mut server);
        let leads = |process: &Process| process.leads(gone);
        let leader = processes.iter().find(|process| leads(process)).unwrap();
        let released = leader.election.release(noon());
        assert!(released.is_some_and(|lease| server.write(lease).is_some()));
        processes.retain(|process| !leads(process));
        let took = until_led(&mut processes, &mut server).saturating_sub(gone);
        assert!(took <= STEP, "{took:?}");
    }
}
