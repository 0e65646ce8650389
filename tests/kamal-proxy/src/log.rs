//! One line of JSON for each request, written when it is complete: the evidence that a deploy dropped nothing.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use serde_json::{Map, Value, json};

/// Where the lines go.
pub struct Log(Mutex<Box<dyn Write + Send>>);

impl Log {
    /// A log that writes to `sink`.
    pub fn new(sink: impl Write + Send + 'static) -> Arc<Log> {
        Arc::new(Log(Mutex::new(Box::new(sink))))
    }

    /// Something that happened to the proxy itself.
    pub fn event(&self, message: &str) {
        self.told(message, json!({}));
    }

    /// The same with fields.
    pub fn told(&self, message: &str, mut fields: Value) {
        fields["time"] = since_epoch(SystemTime::now()).into();
        fields["level"] = "INFO".into();
        fields["msg"] = message.into();
        self.write(&fields);
    }

    fn write(&self, line: &Value) {
        let mut sink = self.0.lock().expect("nothing panics with this lock");
        // Nobody can be told that nobody listens.
        let _ = writeln!(sink, "{line}").and_then(|()| sink.flush());
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Log")
    }
}

/// A request under way; its line is written when this is dropped.
#[derive(Debug)]
pub struct Record {
    log: Arc<Log>,
    arrived: SystemTime,
    /// What else the line says: method, host, path, service, target, headers asked for.
    pub fields: Map<String, Value>,
    /// The status the client got; none when it went away before.
    pub status: Option<StatusCode>,
    /// Bytes of body sent to the client.
    pub bytes: u64,
    /// Whether the whole body was sent.
    pub complete: bool,
}

/// What is logged of a client that went away before the answer.
const CLIENT_GONE: u16 = 499;

impl Record {
    /// A request that arrives now.
    pub fn new(log: &Arc<Log>) -> Record {
        Record {
            log: Arc::clone(log),
            arrived: SystemTime::now(),
            fields: Map::new(),
            status: None,
            bytes: 0,
            complete: false,
        }
    }

    /// Adds a field.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// When the request arrived.
    pub fn arrived(&self) -> SystemTime {
        self.arrived
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let completed = SystemTime::now();
        let mut line = json!({
            "time": since_epoch(completed),
            "level": "INFO",
            "msg": "Request",
            "arrived": since_epoch(self.arrived),
            "completed": since_epoch(completed),
            "duration": completed.duration_since(self.arrived).unwrap_or_default().as_nanos() as u64,
            "status": self.status.map_or(CLIENT_GONE, |status| status.as_u16()),
            "complete": self.complete,
            "resp_bytes": self.bytes,
        });
        if let Value::Object(line) = &mut line {
            line.append(&mut self.fields);
        }
        self.log.write(&line);
    }
}

/// Nanoseconds since 1970.
fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_nanos() as u64
}
