# make mnist   trains on the embedded MNIST, on a machine with nothing but Rust and a C compiler
# make test    runs the whole test suite
# make test-interop   compares with PyTorch, scikit-learn, TensorBoard and Optuna, in a Python environment of its own
# make bench-peers    gpu-train beside PyTorch, JAX, Keras, scikit-learn, burn and tinygrad; ARGS='--help'
# The first two make sure that an adapter exists: a GPU's driver, or Mesa's software adapter (lavapipe).

CARGO ?= cargo
GPU_TRAIN = $(CARGO) run --release --quiet --

# Mesa's device-select layer complains on machines without a display session.
QUIET_MESA = NODEVICE_SELECT=1

.PHONY: mnist test test-interop bench-peers adapter build postgresql

mnist: adapter
	$(GPU_TRAIN) mnist --opt adam

test: adapter
	$(QUIET_MESA) $(CARGO) test --release

test-interop: build postgresql
	$(CARGO) build --release --quiet --example storage_probe
	tests/interop/run.sh

# burn is a crate of its own: minutes of compilation, once.
bench-peers: build
	cd benches/burn && $(CARGO) build --release --quiet --locked || echo "burn does not build here: its row is left out"
	benches/peers/run.sh $(ARGS)

build:
	$(CARGO) build --release

# A server for studies that several workers share; without one, those tests are skipped and say so.
postgresql:
	@if command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	if command -v apt-get >/dev/null; then \
		echo "no PostgreSQL found: installing it"; \
		$$sudo apt-get update && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql || exit 1; \
	else \
		echo "no PostgreSQL found: install its server to test studies in it"; \
	fi

# Asks the program itself whether it finds an adapter through Vulkan, Metal, DirectX 12 or GL.
adapter: build
	@if $(GPU_TRAIN) devices --json | grep -q '"backend"'; then exit 0; fi; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	if command -v apt-get >/dev/null; then \
		echo "no adapter found: installing Mesa's software Vulkan adapter and the Vulkan loader"; \
		$$sudo apt-get update && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
			mesa-vulkan-drivers libvulkan1 || exit 1; \
	else \
		echo "no adapter found: install your GPU's Vulkan driver, or Mesa's software adapter and the Vulkan loader"; \
		echo "  Fedora: dnf install mesa-vulkan-drivers vulkan-loader   Arch: pacman -S vulkan-swrast vulkan-icd-loader"; \
		exit 1; \
	fi; \
	$(GPU_TRAIN) devices --json | grep -q '"backend"' || \
		{ echo "still no adapter: see '$(GPU_TRAIN) devices'"; exit 1; }
