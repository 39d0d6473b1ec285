"""A Faust agent with `take`; see faust_agents.py."""

from benchmarks.contenders.faust_agents import run, take

if __name__ == "__main__":
    run(take)
