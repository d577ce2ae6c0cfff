#!/bin/sh
# status.sh JOB
# Prints `running`, `success` or `failed`. Jobs that the batch system killed must be `failed`.
if ! said=$(scontrol --oneliner show job "$1" 2>&1); then
  case $said in
    *"Invalid job id"*) echo failed ;; # forgotten by SLURM: the result is unknown
    *) echo running ;;                 # no answer now: Snakemake asks again later
  esac
  exit
fi
case $said in
  *JobState=COMPLETED*) echo success ;;
  *JobState=PENDING* | *JobState=RUNNING* | *JobState=CONFIGURING* | *JobState=COMPLETING* | \
    *JobState=SUSPENDED* | *JobState=REQUEUED* | *JobState=PREEMPTED*) echo running ;;
  *) echo failed ;;
esac
