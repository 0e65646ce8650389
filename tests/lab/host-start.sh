#!/bin/bash
# Process 1 of a server of the lab: sshd, and dockerd unless the first argument is `ssh-only`. /lab holds what all servers share.
# Ends when either of them does, so that a broken server is a stopped container.

# A container without every privilege has these mounted read-only; dockerd must write to them.
mount -o remount,rw /sys 2>/dev/null
mount -o remount,rw /sys/fs/cgroup 2>/dev/null
for controller in /sys/fs/cgroup/*; do mount -o remount,bind,rw "$controller" 2>/dev/null; done
mount -o remount,rw /proc/sys 2>/dev/null
mount --make-rshared / 2>/dev/null
# cgroup v2 hands controllers only to groups below one that has no process of its own.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  while read -r pid; do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs; done < /sys/fs/cgroup/cgroup.procs 2>/dev/null
  sed 's/\([^ ]*\)/+\1/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi

id deploy >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' deploy
install -D -m 644 /lab/sshd.conf /etc/ssh/sshd_config.d/lab.conf
install -d -m 700 /root/.ssh
install -m 600 /lab/authorized_keys /root/.ssh/authorized_keys
install -d -m 700 -o deploy -g deploy /home/deploy/.ssh
install -m 600 -o deploy -g deploy /lab/authorized_keys /home/deploy/.ssh/authorized_keys
[ -e /etc/ssh/lab_host_key ] || ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/lab_host_key
mkdir -p /run/sshd

if [ "$1" = ssh-only ]; then
  rm -f /usr/bin/docker /usr/sbin/dockerd /usr/bin/containerd* /usr/sbin/runc
else
  usermod --append --groups docker deploy
  install -D -m 644 /lab/daemon.json /etc/docker/daemon.json
  install -D -m 644 /lab/ca.crt "/etc/docker/certs.d/$REGISTRY/ca.crt"
  # Says to dockerd that profiles of AppArmor are the outer machine's business.
  export container=docker
  rm -f /run/docker.pid /run/docker/containerd/containerd.pid
  dockerd > /var/log/dockerd.log 2>&1 &
fi
/usr/sbin/sshd -D -e > /var/log/sshd.log 2>&1 &
wait -n
