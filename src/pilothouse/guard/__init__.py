"""The guard: pure code that answers Permit, Wait or Refuse. It reads no clock, no file, no network; it never acts."""
