//! Commands, files and folders on a host, and a connection that is lost.

use std::time::{Duration, Instant};

use lab::Lab;
use plimsoll::wire::{
    Command, Engine, Place, WireError,
    docker::Which,
    place::{Exclusive, Removed},
};

use super::*;

#[tokio::test]
async fn commands_arrive_word_by_word_and_answer_with_all_they_have() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("exec");
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let words = [
            "",
            " ",
            "a'b",
            "\"$HOME\"",
            "$(id)",
            "`id`",
            "*",
            "~",
            "a\nb",
            "é",
            ";",
            "&&",
            "-n",
        ];
        let mut argv = vec!["printf", "%s|"];
        argv.extend(words);
        let output = place.exec(Command::new(argv)).await.unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            words.join("|") + "|"
        );

        let output = place
            .exec(Command::new(["sh", "-c", "echo out; echo err >&2; exit 3"]))
            .await
            .unwrap();
        assert_eq!(
            (
                output.code,
                output.text().as_str(),
                output.error_text().as_str()
            ),
            (3, "out", "err")
        );
        let output = place
            .exec(Command::new(["sh", "-c", "kill -KILL $$"]))
            .await
            .unwrap();
        assert_eq!(output.code, 137);

        // Much more than any window, both ways.
        let megabytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut echo = Command::new(["cat"]).stdin(megabytes.clone());
        echo.max_output = 32 << 20;
        let output = place.exec(echo).await.unwrap();
        assert!(output.stdout == megabytes && !output.truncated);
        // A command that doesn't read what it is given.
        let output = place
            .exec(Command::new(["true"]).stdin(megabytes))
            .await
            .unwrap();
        assert_eq!(output.code, 0);

        let mut chatty = Command::new(["sh", "-c", "yes | head -c 100000"]);
        chatty.max_output = 10;
        let output = place.exec(chatty).await.unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.truncated),
            (&b"y\ny\ny\ny\ny\n"[..], true)
        );

        let begun = Instant::now();
        let slow = Command::new(["sleep", "20"]).timeout(Duration::from_millis(300));
        let error = unwrap_err(place.exec(slow).await);
        assert!(matches!(error, WireError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    let ssh = connect(&home, &lab.hosts[0]).await;
    assert_eq!(
        ssh.exec(Command::new(["no-such-program"]))
            .await
            .unwrap()
            .code,
        127
    );
    assert!(matches!(
        Place::Local.exec(Command::new(["no-such-program"])).await,
        Err(WireError::Io { .. })
    ));

    // More at once than the sessions a server allows.
    let many = (0..40).map(|number| {
        let ssh = ssh.clone();
        async move {
            ssh.exec(Command::new([
                "sh",
                "-c",
                &format!("sleep 0.05; echo {number}"),
            ]))
            .await
            .unwrap()
            .text()
        }
    });
    let answers = futures::future::join_all(many).await;
    assert_eq!(
        answers,
        (0..40).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("late");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let seconds = (100_000 + std::process::id()).to_string();
    for _ in 0..12 {
        let slow = Command::new(["sleep", &seconds]).timeout(Duration::from_millis(50));
        let error = unwrap_err(ssh.exec(slow).await);
        assert!(
            matches!(&error, WireError::TimedOut { what, .. } if what.starts_with("`sleep")),
            "{error}"
        );
    }
    let begun = Instant::now();
    while ssh
        .exec(Command::new(["pgrep", "-f", &format!("^sleep {seconds}$")]))
        .await
        .unwrap()
        .code
        == 0
    {
        assert!(begun.elapsed() < Duration::from_secs(5), "it still runs");
    }
    assert!(matches!(
        unwrap_err(ssh.exec(Command::new(["a\0b"])).await),
        WireError::Invalid { .. }
    ));
}

#[tokio::test]
async fn a_port_of_the_host_leads_back_here_and_nowhere_else() {
    use tokio::io::AsyncWriteExt;
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("back");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\nfrom the deployer")
                .await;
        }
    });
    let forwarding = ssh.forward_back(0, &here.to_string()).await.unwrap();
    let url = format!("http://127.0.0.1:{}/", forwarding.port());
    let get = || ssh.exec(Command::new(["curl", "-s", "--max-time", "5", &url]));
    let answers = futures::future::join_all((0..5).map(|_| get())).await;
    for answer in answers {
        assert_eq!(answer.unwrap().text(), "from the deployer");
    }
    let taken = ssh.forward_back(forwarding.port(), "127.0.0.1:1").await;
    assert!(taken.is_err_and(|error| matches!(error, WireError::PortTaken { .. })));
    assert_eq!(get().await.unwrap().text(), "from the deployer");
    drop(forwarding);
    let begun = Instant::now();
    while get().await.unwrap().code == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it is still forwarded"
        );
    }
}

#[tokio::test]
async fn files_are_written_whole_with_their_mode() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("files");
    let folder = format!("plimsoll-test-{}", std::process::id());
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let run = |script: String| place.exec(Command::new(["sh", "-c", &script]));
        let file = format!("{folder}/deep er/it's");
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 256) as u8).collect();
        place.put(&file, 0o600, &content).await.unwrap();
        assert!(place.read(&file).await.unwrap() == Some(content));
        place.put(&file, 0o644, b"new").await.unwrap();
        assert_eq!(
            place.read(&file).await.unwrap().as_deref(),
            Some(&b"new"[..])
        );
        let list = run(format!("cd '{folder}/deep er' && ls -lA | tail -n +2"))
            .await
            .unwrap()
            .text();
        assert!(
            list.starts_with("-rw-r--r--") && list.lines().count() == 1,
            "{list}"
        );
        place.put(&file, 0o755, b"").await.unwrap();
        assert_eq!(place.read(&file).await.unwrap().as_deref(), Some(&b""[..]));

        place
            .append(&format!("{folder}/log"), &["one 'two' $three"])
            .await
            .unwrap();
        place
            .append(&format!("{folder}/log"), &["four"])
            .await
            .unwrap();
        let log = place.read(&format!("{folder}/log")).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(log).unwrap(), "one 'two' $three\nfour\n");

        assert_eq!(place.read(&format!("{folder}/none")).await.unwrap(), None);
        assert_eq!(
            place.remove(&format!("{folder}/log")).await.unwrap(),
            Removed::Gone
        );
        assert_eq!(
            place.remove(&format!("{folder}/log")).await.unwrap(),
            Removed::WasNotThere
        );

        let error = unwrap_err(place.put(&folder, 0o600, b"x").await);
        assert!(
            matches!(&error, WireError::CommandFailed { stderr, .. } if stderr == "it is a directory"),
            "{error}"
        );
        assert!(matches!(
            unwrap_err(place.put("~/x", 0o600, b"x").await),
            WireError::Invalid { .. }
        ));
        assert!(matches!(
            unwrap_err(place.put("/proc/x/y", 0o600, b"x").await),
            WireError::CommandFailed { .. }
        ));
        run(format!("rm -r '{folder}'")).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("full");
    let place = Place::Remote(connect(&home, &lab.hosts[0]).await);
    let mount = format!("/mnt/full{}", std::process::id());
    let run = |script: String| place.exec(Command::new(["sh", "-c", &script]));
    let made = run(format!(
        "mkdir -p {mount} && mount -t tmpfs -o size=64k none {mount}"
    ))
    .await
    .unwrap();
    assert_eq!(made.code, 0, "{}", made.error_text());
    let error = unwrap_err(
        place
            .put(&format!("{mount}/file"), 0o600, &[b'x'; 200_000])
            .await,
    );
    assert!(matches!(error, WireError::DiskFull { .. }), "{error}");
    assert_eq!(run(format!("ls -A {mount}")).await.unwrap().text(), "");
    run(format!("umount {mount} && rmdir {mount}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_directory_is_made_for_one_of_many() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("lock");
    let lock = format!(".plimsoll-test-{}/lock-app", std::process::id());
    for place in [
        Place::Local,
        Place::Remote(connect(&home, &lab.hosts[0]).await),
    ] {
        let claims = (0..12).map(|number| {
            let (place, lock) = (place.clone(), lock.clone());
            async move {
                place
                    .make_directory_exclusively(&lock, "details", &format!("by {number}\n"))
                    .await
                    .unwrap()
            }
        });
        let claims = futures::future::join_all(claims).await;
        let winners: Vec<usize> = claims
            .iter()
            .enumerate()
            .filter(|(_, claim)| **claim == Exclusive::Made)
            .map(|(number, _)| number)
            .collect();
        assert_eq!(winners.len(), 1, "{claims:?}");
        let held = place
            .make_directory_exclusively(&lock, "details", "late")
            .await
            .unwrap();
        assert_eq!(
            held,
            Exclusive::AlreadyThere {
                content: format!("by {}\n", winners[0]).into_bytes()
            }
        );
        assert_eq!(
            place
                .remove_exclusive_directory(&lock, "details")
                .await
                .unwrap(),
            Removed::Gone
        );
        assert_eq!(
            place
                .remove_exclusive_directory(&lock, "details")
                .await
                .unwrap(),
            Removed::WasNotThere
        );
        let failed = place
            .make_directory_exclusively("/proc/lock", "details", "x")
            .await;
        assert!(matches!(
            unwrap_err(failed),
            WireError::CommandFailed { .. }
        ));
        place
            .exec(Command::new(["rmdir", lock.split('/').next().unwrap()]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_is_noticed() {
    let lab = Lab::up(1).unwrap();
    let home = Folder::new("lost");
    let ssh = connect(&home, &lab.hosts[0]).await;
    let engine = Engine::over_ssh(&ssh).await.unwrap();
    let waiting = tokio::spawn({
        let ssh = ssh.clone();
        async move { ssh.exec(Command::new(["sleep", "60"])).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ssh.ended(), None);
    // The sshd of this connection is among the ancestors of its commands.
    let killed = ssh
        .exec(Command::new([
            "sh",
            "-c",
            "p=$PPID; while set -- $(cat /proc/$p/stat) && [ \"$2\" = \"${2#(sshd}\" ]; do p=$4; done; kill -9 $p",
        ]))
        .await;
    assert!(matches!(
        unwrap_err(killed),
        WireError::ConnectionLost { .. }
    ));
    let error = unwrap_err(waiting.await.unwrap());
    assert!(
        matches!(&error, WireError::ConnectionLost { during, .. } if during == "`sleep 60`"),
        "{error}"
    );
    assert!(ssh.ended().is_some());
    let error = unwrap_err(engine.containers(Which::All, &[]).await);
    assert!(matches!(error, WireError::ConnectionLost { .. }), "{error}");
    let error = unwrap_err(ssh.exec(Command::new(["true"])).await);
    assert!(matches!(error, WireError::ConnectionLost { .. }), "{error}");
}
