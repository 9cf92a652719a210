# Each target installs what it needs; the work is done in scripts/.

.PHONY: help run cluster build release test bench fuzz nightly lint fmt setup clean-data

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Serve the dashboard with a sample project on 127.0.0.1:3000 (or ADDR)
	@scripts/run.sh

cluster: ## Serve it as three instances on one PostgreSQL server, on ports 3000 to 3002 (or from PORT on)
	@scripts/cluster.sh

build: ## Build the one self-contained program, target/release/runtrail
	@scripts/build.sh

release: ## Make a release in target/dist: program, .deb, wheel, SBOM, checksums, signature by RELEASE_KEY
	@scripts/release.sh

test: ## Run all tests: Rust's, then the browser's over the release build
	@scripts/test.sh

fuzz: ## Fuzz the server-sent events for a minute (or TIME seconds)
	@scripts/fuzz.sh $(or $(TIME),60)

nightly: ## Run the randomized tests for longer, with new seeds each night
	@scripts/nightly.sh

bench: ## Measure the release build beside peers and limits (20 minutes; keep the machine idle)
	@scripts/bench.sh

lint: ## Check scripts, formatting, deploy/, dependencies, and clippy's warnings for server and browser
	@scripts/lint.sh

fmt: ## Format the code
	@cargo fmt

setup: ## Install what building, checking and testing needs
	@scripts/setup.sh

clean-data: ## Remove the sample project and the runs of `make run`
	@rm -rf .data
