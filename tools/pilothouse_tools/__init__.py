"""The deterministic tools: observe reads the world, draft writes prose, act changes the world by one effect."""
