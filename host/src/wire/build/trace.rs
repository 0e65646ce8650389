//! BuildKit's progress, which the Engine passes on as protobuf: the three messages needed, and no more.
//!
//! From `moby/buildkit/api/services/control/control.proto`: `StatusResponse { vertexes = 1, logs = 3 }`,
//! `Vertex { digest = 1, name = 3, cached = 4, started = 5, completed = 6, error = 7 }`, `VertexLog { vertex = 1, msg = 4 }`.

use super::protobuf::{Value, fields, text};

/// What happened since the last message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) steps: Vec<Step>,
    pub(super) logs: Vec<Log>,
}

/// A step's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) digest: String,
    pub(super) name: String,
    pub(super) cached: bool,
    pub(super) started: bool,
    pub(super) completed: bool,
    pub(super) error: String,
}

/// Something a step printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) step: String,
    pub(super) text: Vec<u8>,
}

/// Reads a `StatusResponse`; what is broken or unknown is passed over, for progress must not fail a build.
pub(super) fn decode(bytes: &[u8]) -> Trace {
    let mut trace = Trace::default();
    for (field, value) in fields(bytes) {
        match (field, value) {
            (1, Value::Bytes(bytes)) => trace.steps.push(step(bytes)),
            (3, Value::Bytes(bytes)) => trace.logs.push(log(bytes)),
            _ => {}
        }
    }
    trace
}

fn step(bytes: &[u8]) -> Step {
    let mut step = Step::default();
    for (field, value) in fields(bytes) {
        match (field, value) {
            (1, Value::Bytes(bytes)) => step.digest = text(bytes),
            (3, Value::Bytes(bytes)) => step.name = text(bytes),
            (4, Value::Number(number)) => step.cached = number != 0,
            (5, Value::Bytes(_)) => step.started = true,
            (6, Value::Bytes(_)) => step.completed = true,
            (7, Value::Bytes(bytes)) => step.error = text(bytes),
            _ => {}
        }
    }
    step
}

fn log(bytes: &[u8]) -> Log {
    let mut log = Log::default();
    for (field, value) in fields(bytes) {
        match (field, value) {
            (1, Value::Bytes(bytes)) => log.step = text(bytes),
            (4, Value::Bytes(bytes)) => log.text = bytes.to_vec(),
            _ => {}
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::field;
    use super::*;

    #[test]
    fn steps_and_logs_are_read_and_unknown_fields_passed_over() {
        let mut vertex = [
            field(1, b"sha256:0f"),
            field(2, b"input"),
            field(3, b"[1/2] RUN x"),
            vec![4 << 3, 1],
        ]
        .concat();
        vertex.extend(
            [
                field(5, b"\x08\x01"),
                field(6, b""),
                field(7, b"exit code: 1"),
                field(8, b"group"),
            ]
            .concat(),
        );
        let log = [
            field(1, b"sha256:0f"),
            vec![3 << 3, 0xac, 0x02],
            field(4, b"hello\n"),
        ]
        .concat();
        let bytes = [
            field(1, &vertex),
            field(2, b"status"),
            vec![9 << 3 | 5, 1, 2, 3, 4],
            field(3, &log),
        ]
        .concat();
        let step = Step {
            digest: "sha256:0f".into(),
            name: "[1/2] RUN x".into(),
            cached: true,
            started: true,
            completed: true,
            error: "exit code: 1".into(),
        };
        let log = Log {
            step: "sha256:0f".into(),
            text: b"hello\n".to_vec(),
        };
        assert_eq!(
            decode(&bytes),
            Trace {
                steps: vec![step],
                logs: vec![log]
            }
        );
    }

    #[test]
    fn broken_messages_end_where_they_break() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\xff",
            b"\x0a\x05abc",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0b",
        ] {
            assert_eq!(decode(bytes), Trace::default(), "{bytes:?}");
        }
    }
}
