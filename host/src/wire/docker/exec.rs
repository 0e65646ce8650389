//! Commands inside a container that runs, in two halves: prepared, and run.

use std::{pin::pin, time::Duration};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Call, Engine, QUICK, ends::Ends, names};
use crate::wire::{
    WireError,
    place::{Command, ExecOutput, Gathered},
};

impl Engine {
    /// Runs a command in a container that runs: prepares and runs it, two requests one after the other.
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
        let prepared = self.prepare_exec(user, container, command, environment);
        prepared.await?.run().await
    }

    /// Readies a command, which does not run yet. One request, and one that nobody waits for: it listens for the end.
    pub async fn prepare_exec(
        &self,
        user: Option<&str>,
        container: &str,
        command: Command,
        environment: &[String],
    ) -> Result<Prepared, WireError> {
        let name = names::plain("container", container)?;
        let call = self.container(
            &format!("running {} in container {name}", command.summary()),
            name,
        );
        let options = CreateExecOptions {
            attach_stdin: Some(command.stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(environment.to_vec()),
            cmd: Some(command.argv.clone()),
            user: user.map(str::to_owned),
            ..CreateExecOptions::default()
        };
        let ends = self.ends(name);
        let created = self.docker.create_exec(name, options);
        let created = self.within(&call, QUICK, created).await?;
        Ok(Prepared {
            engine: self.clone(),
            call,
            id: created.id,
            command,
            ends,
        })
    }
}

/// A command that is ready to run in a container.
pub struct Prepared {
    engine: Engine,
    call: Call,
    id: String,
    command: Command,
    ends: Ends,
}

impl Prepared {
    /// Runs it, and waits for its end as long as the command may take. One request: the Engine tells the code by itself,
    /// and is asked for it in case that it does not.
    pub async fn run(mut self) -> Result<ExecOutput, WireError> {
        let engine = self.engine.clone();
        let (call, limit) = (self.call.clone(), self.command.timeout);
        engine.within(&call, limit, self.run_to_the_end()).await
    }

    async fn run_to_the_end(&mut self) -> Result<ExecOutput, bollard::errors::Error> {
        let started = self.engine.docker.start_exec(&self.id, None).await?;
        let mut gathered = Gathered::new(self.command.max_output);
        if let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        {
            let stdin = self.command.stdin.take();
            let feed = async {
                // A command may end without reading all of its input: that is its business.
                if let Some(bytes) = &stdin {
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
        let code = tokio::select! {
            code = self.ends.of(&self.id) => code,
            code = asked(&self.engine, &self.id) => code?,
        };
        Ok(gathered.finish(code.try_into().unwrap_or(i32::MAX)))
    }
}

async fn asked(engine: &Engine, id: &str) -> Result<i64, bollard::errors::Error> {
    // The output can end a moment before the Engine has the code.
    let mut pause = Duration::from_millis(5);
    loop {
        let state = engine.docker.inspect_exec(id).await?;
        match state.exit_code {
            Some(code) if state.running != Some(true) => return Ok(code),
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
