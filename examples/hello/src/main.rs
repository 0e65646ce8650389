//! A web server small enough to read in a minute: `/` greets, `/up` is the health check, `/slow?ms=N` answers late.
//!
//! It stops as a good neighbour of a proxy does: on SIGTERM it finishes the requests it has begun, answers no more on the connections it has,
//! and is gone.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A connection that asks for nothing this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Longer than any request should take; what is unfinished after it is cut off.
const GRACE: Duration = Duration::from_secs(30);

static BEGUN: AtomicUsize = AtomicUsize::new(0);
static STOPPING: AtomicBool = AtomicBool::new(false);

fn main() -> io::Result<()> {
    if is_set("HELLO_CRASH") {
        eprintln!("hello: stopping at once because HELLO_CRASH is set");
        process::exit(1);
    }
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let port = env::var("HELLO_PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(3000);
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    eprintln!("hello: listening on port {port}");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || serve(connection));
        }
    });
    signals.forever().next();
    STOPPING.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + GRACE;
    while BEGUN.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    // Ends the idle connections too: nobody is waiting for an answer on them.
    process::exit(0)
}

/// Answers the requests of one connection, one after the other, until either side has had enough.
fn serve(connection: TcpStream) -> io::Result<()> {
    connection.set_read_timeout(Some(IDLE))?;
    connection.set_nodelay(true)?;
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    let mut line = String::new();
    while requests.read_line(&mut line)? > 0 {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let outcome = answer(&line, &mut requests, &mut answers);
        BEGUN.fetch_sub(1, Ordering::SeqCst);
        if outcome? == Connection::Close {
            break;
        }
        line.clear();
    }
    Ok(())
}

#[derive(PartialEq)]
enum Connection {
    Keep,
    Close,
}

fn answer(
    request: &str,
    headers: &mut impl BufRead,
    to: &mut impl Write,
) -> io::Result<Connection> {
    let mut connection = Connection::Keep;
    let mut body = 0;
    let mut line = String::new();
    while headers.read_line(&mut line)? > 0 && line != "\r\n" {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close") {
            connection = Connection::Close;
        } else if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    io::copy(&mut io::Read::take(&mut *headers, body), &mut io::sink())?;

    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, text) = match path.split('?').next().unwrap_or(path) {
        "/" => ("200 OK", greeting()),
        "/up" if is_set("HELLO_UNHEALTHY") => {
            ("500 Internal Server Error", "not well\n".to_owned())
        }
        "/up" => ("200 OK", "up\n".to_owned()),
        "/slow" => {
            let ms = path
                .split_once("ms=")
                .and_then(|(_, ms)| ms.parse().ok())
                .unwrap_or(1000);
            thread::sleep(Duration::from_millis(ms));
            ("200 OK", greeting())
        }
        _ => ("404 Not Found", "not here\n".to_owned()),
    };
    if STOPPING.load(Ordering::SeqCst) {
        connection = Connection::Close;
    }
    let last = if connection == Connection::Close {
        "Connection: close\r\n"
    } else {
        ""
    };
    let length = text.len();
    let text = if request.starts_with("HEAD ") {
        ""
    } else {
        &text
    };
    write!(
        to,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{last}\r\n{text}"
    )?;
    to.flush()?;
    Ok(connection)
}

/// What `greeting.txt` says, and which version says it.
fn greeting() -> String {
    let text = fs::read_to_string("greeting.txt").unwrap_or_else(|_| "Hello".to_owned());
    let version = env::var("KAMAL_VERSION").unwrap_or_else(|_| "unknown".to_owned());
    format!("{} from version {version}\n", text.trim())
}

fn is_set(name: &str) -> bool {
    env::var(name).is_ok_and(|value| value == "1")
}
