//! An ECS service under way, as tables: deployments, stopped tasks, why they stopped, events of failure, alarms.

/// Tasks that are shown.
const TASKS: usize = 2;
/// Events that are shown.
const EVENTS: usize = 5;
/// Words of events that tell of a failure.
const FAILURES: &[&str] = &[
    "fail",
    "unhealthy",
    "error",
    "throttle",
    "unable",
    "missing",
    "alarm detected",
    "rolling back",
];

/// A deployment of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// `PRIMARY`, `ACTIVE`.
    pub status: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`.
    pub rollout: String,
    /// Why.
    pub reason: Option<String>,
    /// Of the task definition.
    pub revision: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Milliseconds since 1970.
    pub updated: u64,
}

/// What ECS says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds since 1970.
    pub time: u64,
    /// In ECS's words.
    pub text: String,
}

/// A container of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// None if it never ran.
    pub exit_code: Option<i32>,
    /// Why it stopped.
    pub reason: Option<String>,
}

/// A task that stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Id.
    pub id: String,
    /// `STOPPED`
    pub status: String,
    /// `STOPPED`
    pub desired: String,
    /// Milliseconds since 1970.
    pub stopped: u64,
    /// Why.
    pub reason: Option<String>,
    /// `EssentialContainerExited`
    pub code: Option<String>,
    /// Of its task definition.
    pub revision: String,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// A service under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Newest first.
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub messages: Vec<Message>,
    /// Newest first.
    pub stopped: Vec<Task>,
    /// Alarms that can stop it, with their states.
    pub alarms: Vec<(String, String)>,
}

/// A table for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Title.
    pub title: String,
    /// Empty for a plain list.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

impl Rollout {
    /// Without what happened before `since` (milliseconds since 1970): it is of earlier deployments.
    #[must_use]
    pub fn since(mut self, since: u64) -> Self {
        self.messages.retain(|message| message.time >= since);
        self.stopped.retain(|task| task.stopped >= since);
        self.stopped
            .sort_by_key(|task| std::cmp::Reverse(task.stopped));
        self
    }

    /// Some deployment is of another revision than this.
    pub fn moves_on_from(&self, revision: &str) -> bool {
        self.deployments
            .iter()
            .any(|deployment| deployment.revision != revision)
    }

    /// Leaves out tasks of a revision that worked before: what it does now is not what is deployed.
    pub fn forget_revision(&mut self, revision: &str) {
        self.stopped.retain(|task| task.revision != revision);
    }

    /// Takes over stopped tasks that ECS does not tell of any more.
    pub fn keep_tasks_of(&mut self, earlier: &Self) {
        for task in &earlier.stopped {
            if self.stopped.iter().all(|other| other.id != task.id) {
                self.stopped.push(task.clone());
            }
        }
    }

    /// A single deployment is left, and it runs what it should.
    pub fn is_steady(&self) -> bool {
        match self.deployments.as_slice() {
            [only] => only.running == only.desired && only.rollout != "FAILED",
            _ => false,
        }
    }

    /// Some deployment is given up.
    pub fn has_failed(&self) -> bool {
        self.deployments
            .iter()
            .any(|deployment| deployment.rollout == "FAILED")
    }

    /// Events of failure, newest first.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .map(|message| message.text.as_str())
            .filter(|text| {
                let text = text.to_lowercase();
                FAILURES.iter().any(|word| text.contains(word))
            })
    }

    /// Reasons of stopped tasks, newest first, each with the tasks that have it.
    pub fn stop_reasons(&self) -> Vec<(String, Vec<&str>)> {
        let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
        for task in &self.stopped {
            let Some(reason) = task.words() else { continue };
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, tasks)) => tasks.push(&task.id),
                None => reasons.push((reason, vec![&task.id])),
            }
        }
        reasons
    }

    /// Its tables, those that have something to say.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.deployments()];
        tables.extend(self.stopped_tasks());
        let reasons = self.stop_reasons().into_iter().take(TASKS);
        let reasons: Vec<Vec<String>> = reasons
            .map(|(reason, tasks)| {
                let tasks: Vec<&str> = tasks.iter().take(TASKS).map(|id| short(id)).collect();
                vec![format!("[{}]: {reason}", tasks.join(","))]
            })
            .collect();
        tables.extend(list("task stopped reason", "task stopped reasons", reasons));
        let events = self
            .failures()
            .take(EVENTS)
            .map(|text| vec![text.to_owned()]);
        tables.extend(list("failure event", "failure events", events.collect()));
        if !self.alarms.is_empty() {
            let row = |(name, state): &(String, String)| {
                let state = match state.as_str() {
                    "" => "-".to_owned(),
                    state => format!("[{}]", state.replace('_', " ")),
                };
                vec![name.clone(), state]
            };
            tables.push(Table {
                title: "Alarms".to_owned(),
                columns: vec!["Name".to_owned(), "State".to_owned()],
                rows: self.alarms.iter().map(row).collect(),
            });
        }
        tables
    }

    fn deployments(&self) -> Table {
        let columns = [
            "", "Revision", "Rollout", "Desired", "Running", "Failed", "Pending",
        ];
        let row = |deployment: &Deployment| {
            vec![
                deployment.status.clone(),
                deployment.revision.clone(),
                match deployment.rollout.as_str() {
                    "" => "-".to_owned(),
                    rollout => format!("[{}]", rollout.to_lowercase().replace('_', " ")),
                },
                deployment.desired.to_string(),
                deployment.running.to_string(),
                deployment.failed.to_string(),
                deployment.pending.to_string(),
            ]
        };
        Table {
            title: "Deployments".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.deployments.iter().map(row).collect(),
        }
    }

    fn stopped_tasks(&self) -> Option<Table> {
        let shown: Vec<&Task> = self.stopped.iter().take(TASKS).collect();
        let title = match shown.len() {
            0 => return None,
            1 => "Latest stopped task".to_owned(),
            count => format!("Latest {count} stopped tasks"),
        };
        let row = |task: &&Task| {
            vec![
                short(&task.id).to_owned(),
                task.status.clone(),
                task.desired.clone(),
            ]
        };
        Some(Table {
            title,
            columns: ["TaskId", "CurrentStatus", "DesiredStatus"]
                .map(str::to_owned)
                .to_vec(),
            rows: shown.iter().map(row).collect(),
        })
    }
}

impl Task {
    /// Why it stopped, with the container that ended it.
    pub fn words(&self) -> Option<String> {
        let reason = self.reason.as_deref().filter(|reason| !reason.is_empty())?;
        match self.culprit() {
            Some(container) => {
                let code = container.exit_code.unwrap_or_default();
                let because = container
                    .reason
                    .as_ref()
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                Some(format!(
                    "{reason} (container {} exited with code {code}{because})",
                    container.name
                ))
            }
            None => Some(reason.to_owned()),
        }
    }

    /// The container that ended it: one that failed, else one that ended at all.
    pub fn culprit(&self) -> Option<&Container> {
        let ended = |container: &&Container| container.exit_code.is_some();
        let failed = |container: &&Container| container.exit_code.is_some_and(|code| code != 0);
        let by_itself = self.code.as_deref() == Some("EssentialContainerExited")
            || self
                .reason
                .as_deref()
                .is_some_and(|reason| reason.starts_with("Essential container"));
        if !by_itself {
            return None;
        }
        self.containers
            .iter()
            .find(failed)
            .or_else(|| self.containers.iter().find(ended))
    }
}

/// The beginning of a task's id, as the console shows it.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn list(one: &str, several: &str, rows: Vec<Vec<String>>) -> Option<Table> {
    let title = match rows.len() {
        0 => return None,
        1 => format!("✘ Latest {one}"),
        count => format!("✘ Latest {count} {several}"),
    };
    Some(Table {
        title,
        columns: Vec::new(),
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            deployments: vec![
                Deployment {
                    status: "PRIMARY".to_owned(),
                    rollout: "IN_PROGRESS".to_owned(),
                    revision: "7".to_owned(),
                    desired: 2,
                    failed: 3,
                    pending: 1,
                    ..Deployment::default()
                },
                Deployment {
                    status: "ACTIVE".to_owned(),
                    rollout: "COMPLETED".to_owned(),
                    revision: "6".to_owned(),
                    desired: 2,
                    running: 2,
                    ..Deployment::default()
                },
            ],
            messages: vec![
                Message {
                    time: 30,
                    text: "(service api) has started 1 tasks: (task 1).".to_owned(),
                },
                Message {
                    time: 20,
                    text: "(service api) was unable to place a task.".to_owned(),
                },
                Message {
                    time: 1,
                    text: "(service api) error of last week".to_owned(),
                },
            ],
            stopped: vec![
                Task {
                    id: "1234567890abcdef".to_owned(),
                    status: "STOPPED".to_owned(),
                    desired: "STOPPED".to_owned(),
                    stopped: 25,
                    reason: Some("Essential container in task exited".to_owned()),
                    code: Some("EssentialContainerExited".to_owned()),
                    revision: "7".to_owned(),
                    containers: vec![
                        Container {
                            name: "sidecar".to_owned(),
                            exit_code: Some(0),
                            reason: None,
                        },
                        Container {
                            name: "api".to_owned(),
                            exit_code: Some(137),
                            reason: Some("OutOfMemoryError".to_owned()),
                        },
                    ],
                },
                Task {
                    stopped: 2,
                    ..Task::default()
                },
            ],
            alarms: vec![("cpu".to_owned(), "OK".to_owned())],
        }
        .since(10)
    }

    #[test]
    fn a_rollout_is_shown_as_tables_without_what_is_of_earlier_deployments() {
        let tables = rollout().tables();
        let titles: Vec<&str> = tables.iter().map(|table| table.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Deployments",
                "Latest stopped task",
                "✘ Latest task stopped reason",
                "✘ Latest failure event",
                "Alarms"
            ]
        );
        assert_eq!(
            tables[0].rows[0],
            ["PRIMARY", "7", "[in progress]", "2", "0", "3", "1"]
        );
        assert_eq!(tables[1].rows, [["12345678", "STOPPED", "STOPPED"]]);
        assert_eq!(
            tables[2].rows[0][0],
            "[12345678]: Essential container in task exited (container api exited with code 137: OutOfMemoryError)"
        );
        assert_eq!(
            tables[3].rows[0][0],
            "(service api) was unable to place a task."
        );
        assert_eq!(tables[4].rows[0], ["cpu", "[OK]"]);
    }

    #[test]
    fn tasks_of_what_worked_before_tell_nothing_of_what_is_deployed() {
        let mut rollout = rollout();
        assert!(rollout.moves_on_from("6") && rollout.moves_on_from("7"));
        rollout.forget_revision("6");
        assert_eq!(rollout.stopped.len(), 1);
        let mut later = Rollout::default();
        later.keep_tasks_of(&rollout);
        later.keep_tasks_of(&rollout);
        assert_eq!(later.stopped, rollout.stopped);
        rollout.forget_revision("7");
        assert!(rollout.stopped.is_empty());
    }

    #[test]
    fn a_rollout_is_steady_when_one_deployment_runs_what_it_should() {
        let mut rollout = rollout();
        assert!(!rollout.is_steady() && !rollout.has_failed());
        rollout.deployments.remove(0);
        assert!(rollout.is_steady());
        rollout.deployments[0].rollout = "FAILED".to_owned();
        assert!(!rollout.is_steady() && rollout.has_failed());
    }
}
