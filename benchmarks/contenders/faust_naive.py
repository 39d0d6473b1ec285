"""A naive Faust agent; see faust_agents.py."""

from benchmarks.contenders.faust_agents import naive, run

if __name__ == "__main__":
    run(naive)
