"""The simulation: configuration, assembly from plugins, the engine and the Gymnasium environments."""
