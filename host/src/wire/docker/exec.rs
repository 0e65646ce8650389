//! Commands inside a container that runs.

use std::{pin::pin, time::Duration};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Engine, names};
use crate::wire::{
    WireError,
    place::{Command, ExecOutput, Gathered},
};

impl Engine {
    /// Runs a command in a container that runs. Three requests: prepare, run, ask for the code.
    ///
    /// `environment` is a list of `KEY=value`. A program that isn't there has the code 126 or 127.
    pub async fn exec(
        &self,
        container: &str,
        command: Command,
        environment: &[String],
    ) -> Result<ExecOutput, WireError> {
        self.exec_as(None, container, command, environment).await
    }

    /// The same as another user than the container's own.
    pub async fn exec_as(
        &self,
        user: Option<&str>,
        container: &str,
        command: Command,
        environment: &[String],
    ) -> Result<ExecOutput, WireError> {
        let name = names::plain("container", container)?;
        let call = self.container(
            &format!("running {} in container {name}", command.summary()),
            name,
        );
        let limit = command.timeout;
        let run = self.run_in(user, name, command, environment);
        self.within(&call, limit, run).await
    }

    async fn run_in(
        &self,
        user: Option<&str>,
        container: &str,
        command: Command,
        environment: &[String],
    ) -> Result<ExecOutput, bollard::errors::Error> {
        let options = CreateExecOptions {
            attach_stdin: Some(command.stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(environment.to_vec()),
            cmd: Some(command.argv),
            user: user.map(str::to_owned),
            ..CreateExecOptions::default()
        };
        let exec = self.docker.create_exec(container, options).await?;
        let started = self.docker.start_exec(&exec.id, None).await?;
        let mut gathered = Gathered::new(command.max_output);
        if let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        {
            let feed = async {
                // A command may end without reading all of its input: that is its business.
                if let Some(bytes) = &command.stdin {
                    let _ = input.write_all(bytes).await;
                }
                let _ = input.shutdown().await;
            };
            let gather = async {
                while let Some(chunk) = output.next().await {
                    match chunk? {
                        LogOutput::StdErr { message } => gathered.stderr(&message),
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            gathered.stdout(&message)
                        }
                        LogOutput::StdIn { .. } => {}
                    }
                }
                Ok::<(), bollard::errors::Error>(())
            };
            let (mut feed, mut gather) = (pin!(feed), pin!(gather));
            tokio::select! {
                result = &mut gather => result?,
                () = &mut feed => gather.await?,
            }
        }
        // The output can end a moment before the Engine has the code.
        let mut pause = Duration::from_millis(5);
        loop {
            let state = self.docker.inspect_exec(&exec.id).await?;
            match state.exit_code {
                Some(code) if state.running != Some(true) => {
                    return Ok(gathered.finish(code.try_into().unwrap_or(i32::MAX)));
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}
